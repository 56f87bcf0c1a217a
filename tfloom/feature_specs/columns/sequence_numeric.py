"""`sequence_numeric`: any number of numbers a row, in order, scaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat

from tfloom.feature_specs.column import Batch, Column, Dtype, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Sequence
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.sequence_column import SequenceColumn
from tfloom.feature_specs.statistics import Statistics


class SequenceNumeric(SequenceColumn):
    """Numbers in order, `dimension` of them a step: float32 [B, T, dimension], with a mask. A missing one is none.

    dimension: how many numbers make a step; what is left over at the end of a row makes none.
    scale: `none` or `z_score`, (x - mean) / standard deviation of all numbers of the training split's steps together.
    padding: what stands in `values` where there is no step.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")
    reads_many: ClassVar[bool] = True

    kind: Literal["sequence_numeric"] = "sequence_numeric"
    source: str | None = None
    dimension: Annotated[int, Field(ge=1)] = 1
    scale: Literal["none", "z_score"] = "none"
    padding: FiniteFloat = 0.0

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32")

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        x = values.ragged(self.inputs()[0])
        x = x.with_flat_values(tf.cast(x.flat_values, tf.float32))
        x = self.kept(tf.ragged.boolean_mask(x, x.with_flat_values(~tf.math.is_nan(x.flat_values))), self.dimension)
        return x.with_flat_values(self._scaled(x.flat_values))

    def _scaled(self, x: Any) -> Any:
        """float32 [N] -> float32 [N], NaN nowhere."""
        import tensorflow as tf

        if self.scale == "none":
            return x
        mean, variance = Statistics(self.name, x).mean_and_variance
        deviation = tf.sqrt(variance)
        return tf.where(deviation != 0, tf.math.divide_no_nan(x - mean, deviation), x - mean)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Sequence:
        import tensorflow as tf

        x = batch.value(self.name)
        rows, width = tf.unstack(tf.shape(x))
        x = tf.reshape(x, [rows, width // self.dimension, self.dimension])
        mask = ~tf.math.is_nan(x[..., 0])
        return Sequence(tf.where(mask[..., None], x, self.padding), mask)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        if self.scale != "none":
            raise SpecError(f"columns.{self.name}: its scale is learned, no tf.feature_column over raw rows has it")
        if self.max_length is not None:
            raise SpecError(f"columns.{self.name}: no tf.feature_column has a max_length")
        return self._feature_column(self.inputs()[0])

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        return self._feature_column(self.name)

    def _feature_column(self, name: str) -> Any:
        import tensorflow as tf

        return tf.feature_column.sequence_numeric_column(name, (self.dimension,), default_value=self.padding)
