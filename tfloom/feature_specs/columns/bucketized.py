"""`bucketized`: a number, as the index of the bucket it falls into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs.column import CategoricalColumn, Column, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Dtype, Input
from tfloom.feature_specs.statistics import Statistics


class Bucketized(CategoricalColumn):
    """The number of boundaries that are <= x, compared in float32; a missing value goes to the last bucket.

    boundaries: increasing numbers, n of them for n + 1 buckets.
    quantiles: instead of boundaries, how many buckets of about as many training rows each (tft.quantiles).
    weights: a numeric input; the quantiles then make buckets of about as much weight each. A row whose weight is
      missing, 0 or less teaches nothing.
    per_key: an input, strings or integers; for each of its values quantiles are learned apart. Where training has not
      seen the value, they are those of all rows.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")
    reads_many: ClassVar[bool] = False

    kind: Literal["bucketized"] = "bucketized"
    source: str | None = None
    boundaries: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)] | None = None
    quantiles: Annotated[int, Field(ge=2)] | None = None
    weights: str | None = None
    per_key: str | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> Bucketized:
        if (self.boundaries is None) == (self.quantiles is None):
            raise ValueError("needs boundaries or quantiles, one of the two")
        if self.boundaries and any(b <= a for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError("boundaries must increase")
        for field, name in (("weights", self.weights), ("per_key", self.per_key)):
            if name is not None and not self.quantiles:
                raise ValueError(f"has {field}, which is for quantiles, and boundaries")
            if name is not None and name == (self.source or self.name):
                raise ValueError(f"has {field} of the number itself")
        return self

    def inputs(self) -> tuple[str, ...]:
        return (*super().inputs(), *(name for name in (self.weights, self.per_key) if name is not None))

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        return ("string", "int64") if name == self.per_key else self.accepts

    def num_buckets(self, vocabulary_size: int) -> int:
        return len(self.boundaries) + 1 if self.boundaries else self.quantiles or 0

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        x = values.scalar(self.inputs()[0])
        if self.boundaries:
            ids = tf.searchsorted(tf.constant(self.boundaries, tf.float32), x, side="right", out_type=tf.int64)
            return tf.RaggedTensor.from_tensor(ids[:, None])
        key = None if self.per_key is None else values.key(self.per_key)
        weights = None if self.weights is None else values.scalar(self.weights)
        learned = Statistics(f"{self.name}_quantiles", x, key).quantiles(self.quantiles or 0, weights)
        if key is None:
            ids = tf.searchsorted(tf.stack(learned), x, side="right", out_type=tf.int64)
        else:
            passed = tf.math.count_nonzero(tf.stack(learned, axis=1) <= x[:, None], axis=1)
            ids = tf.where(tf.math.is_nan(x), tf.constant(len(learned), tf.int64), passed)
        return tf.RaggedTensor.from_tensor(ids[:, None])

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if not self.boundaries:
            raise SpecError(
                f"columns.{self.name}: its quantiles are learned, no tf.feature_column over raw rows has them"
            )
        number = tf.feature_column.numeric_column(*self.inputs(), default_value=float("nan"))
        return tf.feature_column.bucketized_column(number, self.boundaries)
