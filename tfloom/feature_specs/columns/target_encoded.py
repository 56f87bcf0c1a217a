"""`target_encoded`: a category as what its rows have of a label, learned out of fold for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from tfloom.feature_specs.column import Batch, Column, Dtype, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.statistics import place_of

if TYPE_CHECKING:
    from tfloom.feature_specs.labels import Label


class TargetEncoded(Column):
    """The mean of a label over the training rows of a category: how often it is 1, how often each class, or its mean.

    It is drawn towards the mean of all rows, the prior: (sum + smooth * prior) / (count + smooth). A row of the
    training split is trained on what the rows of the other folds alone say, so that no row is told its own label.

    label: of the spec, whose mean it learns.
    classes: how many the label has, where it has `classes`; there is then a number for each.
    smooth: how many rows the prior counts as.
    folds: into how many parts the training split is cut, by a hash of the spec's key, or of where a row stands in the
      data.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    has_training_form: ClassVar[bool] = True

    kind: Literal["target_encoded"] = "target_encoded"
    source: str | None = None
    label: str
    classes: Annotated[int, Field(ge=2)] | None = None
    smooth: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 20.0
    folds: Annotated[int, Field(ge=2, le=100)] = 5

    def labels(self) -> tuple[str, ...]:
        return (self.label,)

    def check_labels(self, labels: Mapping[str, Label]) -> None:
        label = labels[self.label]
        if label.multi_label:
            raise SpecError(f"columns.{self.name}.label: {self.label!r} has any number of classes",
                            expected="a label with one value a row", received="multi_label: true")  # fmt: skip
        classes = len(label.class_names) if label.task == "multiclass_classification" else None
        if self.classes != classes:
            raise SpecError(
                f"columns.{self.name}.classes: {self.label!r} has another number of classes",
                expected=f"classes: {classes}" if classes else f"no classes: {self.label!r} is for {label.task}",
                received=f"classes: {self.classes}" if self.classes else "no classes",
            )

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", self.classes or 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        keys, encoded, _ = self._learned(values)
        return tf.gather(encoded, place_of(values.key(*self.inputs()), keys))

    def training_form(self, values: Values) -> Any:
        import tensorflow as tf

        keys, _, out_of_fold = self._learned(values)
        place = tf.cast(place_of(values.key(*self.inputs()), keys), tf.int64)
        return tf.gather_nd(out_of_fold, tf.stack([place, values.fold(self.folds)], axis=1))

    def _learned(self, values: Values) -> tuple[Any, Any, Any]:
        """Keys [V], what each is [V + 1, D] and what it is to the rows of each fold [V + 1, folds, D].

        The last of them is what no training row has.
        """
        return values.once(f"target_encoded {self.name}", lambda: self._learn(values))

    def _learn(self, values: Values) -> tuple[Any, Any, Any]:
        import tensorflow as tf

        keys, *of_keys = self._totals(values)
        # In the graph these are constants, whatever the batch. Sums of numbers depend on their order in float64 too:
        # cumsum has one order, reduce_sum that of its threads.
        count, total = (tf.concat([one, tf.zeros_like(one[:1])], axis=0) for one in of_keys[:2])
        of_all = [one[None] for one in of_keys[2:]]
        encoded = self._smoothed(*(tf.cumsum(one, axis=1)[:, -1] for one in (count, total, *of_all)))
        return keys, encoded, self._smoothed(*(_others(one) for one in (count, total, *of_all)))

    def _totals(self, values: Values) -> tuple[Any, ...]:
        """Keys [V], rows and sums by key and fold, [V, folds, 1] and [V, folds, D], and by fold alone; float64."""
        import tensorflow as tf
        import tensorflow_transform as tft
        from tensorflow_transform import analyzers

        label, fold, width = values.label(self.label), values.fold(self.folds), self.classes or 1
        known = ~tf.math.is_nan(label) if label.dtype.is_floating else label >= 0
        label, fold = tf.boolean_mask(label, known), tf.boolean_mask(fold, known)
        keys, index = tf.unique(tf.boolean_mask(values.key(*self.inputs()), known), out_idx=tf.int64)
        targets = tf.one_hot(label, width, dtype=tf.float64) if self.classes else tf.cast(label, tf.float64)[:, None]
        told = tf.concat([tf.ones_like(targets[:, :1]), targets], axis=1)
        shape = [self.folds, 1 + width]

        def by_fold(index: Any, count: Any) -> Any:
            cells = tf.math.unsorted_segment_sum(told, index * self.folds + fold, count * self.folds)
            return tf.reshape(cells, [-1, self.folds * (1 + width)])

        # tf.Transform tells no sums per key; see statistics.py.
        combiner = analyzers.NumPyCombiner(np.sum, 0, [np.float64], [(self.folds * (1 + width),)])
        keys, of_keys = analyzers._apply_cacheable_combiner_per_key(combiner, keys, by_fold(index, tf.size(keys)))
        of_all = tft.sum(by_fold(tf.zeros_like(fold), 1), reduce_instance_dims=False)
        of_keys, of_all = tf.reshape(of_keys, [-1, *shape]), tf.reshape(of_all, shape)
        return keys, of_keys[..., :1], of_keys[..., 1:], of_all[:, :1], of_all[:, 1:]

    def _smoothed(self, count: Any, total: Any, count_of_all: Any, total_of_all: Any) -> Any:
        """float32, rounded once. Where there is no training row at all it is 0."""
        import tensorflow as tf

        prior = tf.math.divide_no_nan(total_of_all, count_of_all)
        mean = tf.math.divide_no_nan(total + self.smooth * prior, count + self.smooth)
        return tf.cast(tf.where(count > 0, mean, prior), tf.float32)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        raise SpecError(f"columns.{self.name}: it is learned from a label, no tf.feature_column over raw rows has it")

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name, self.transformed_type.dimension)


def _others(of_folds: Any) -> Any:
    """[V, folds, D] -> of each fold the sum over the others."""
    import tensorflow as tf

    before = tf.cumsum(of_folds, axis=1, exclusive=True)
    return before + tf.cumsum(of_folds, axis=1, exclusive=True, reverse=True)
