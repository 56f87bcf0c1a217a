"""What the kinds that place a number between boundaries share: the boundaries, given or learned."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs.column import Dtype, Values
from tfloom.feature_specs.statistics import Statistics
from tfloom.feature_specs.vector_column import VectorColumn


class BucketColumn(VectorColumn):
    """A column made of where numbers lie between boundaries.

    boundaries: increasing numbers, n of them for n + 1 buckets.
    quantiles: instead of boundaries, how many buckets of about as many training rows each (tft.quantiles).
    weights: a numeric input; the quantiles then make buckets of about as much weight each. A row whose weight is
      missing, 0 or less teaches nothing.
    per_key: an input, strings or integers; for each of its values quantiles are learned apart. Where training has not
      seen the value, they are those of all rows.
    elementwise: of a vector, learn quantiles of each of its elements apart; without it, of all of them together.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    boundaries: Annotated[tuple[FiniteFloat, ...], Field(min_length=1)] | None = None
    quantiles: Annotated[int, Field(ge=2)] | None = None
    weights: str | None = None
    per_key: str | None = None
    elementwise: bool = False

    @model_validator(mode="after")
    def _one_of_the_two(self) -> BucketColumn:
        if (self.boundaries is None) == (self.quantiles is None):
            raise ValueError("needs boundaries or quantiles, one of the two")
        if self.boundaries and any(b <= a for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError("boundaries must increase")
        for field, name in (("weights", self.weights), ("per_key", self.per_key)):
            if name is not None and not self.quantiles:
                raise ValueError(f"has {field}, which is for quantiles, and boundaries")
            if name is not None and name == (self.source or self.name):
                raise ValueError(f"has {field} of the number itself")
        if self.elementwise:
            if not self.quantiles:
                raise ValueError("has elementwise, which is for quantiles, and boundaries")
            if self.size == 1:
                raise ValueError("has elementwise, and no shape of several elements")
            if self.per_key is not None:
                raise ValueError("has elementwise and per_key: quantiles are of each element or of each key")
        return self

    def inputs(self) -> tuple[str, ...]:
        """That of its numbers, then those of weights and keys."""
        return (*super().inputs(), *(name for name in (self.weights, self.per_key) if name is not None))

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        """Numbers, but for a key."""
        return ("string", "int64") if name == self.per_key else self.accepts

    @property
    def buckets(self) -> int:
        """How many there are between the boundaries, and beyond the first and the last."""
        return len(self.boundaries) + 1 if self.boundaries else self.quantiles or 0

    def boundaries_of(self, x: Any, values: Values) -> Any:
        """The boundaries that x [B, D] is placed among: float32 [n], elementwise [D, n], with a key [B, 1, n]."""
        import tensorflow as tf

        if self.boundaries:
            return tf.constant(self.boundaries, tf.float32)
        key = None if self.per_key is None else values.key(self.per_key)
        weights = None if self.weights is None else values.scalar(self.weights)
        learned = Statistics(f"{self.name}_quantiles", x, key, self.elementwise)
        return tf.stack(learned.quantiles(self.buckets, weights), axis=-1)


def passed(x: Any, boundaries: Any) -> Any:
    """How many boundaries, as `boundaries_of` gives them, are <= x [B, D]; all, where it is NaN: int64 [B, D]."""
    import tensorflow as tf

    if boundaries.shape.rank == 1:
        ids = tf.searchsorted(boundaries, tf.reshape(x, [-1]), side="right", out_type=tf.int64)
        return tf.reshape(ids, tf.shape(x))
    if boundaries.shape.rank == 2:
        return tf.transpose(tf.searchsorted(boundaries, tf.transpose(x), side="right", out_type=tf.int64))
    count = tf.math.count_nonzero(boundaries <= x[..., None], axis=-1)
    return tf.where(tf.math.is_nan(x), tf.constant(boundaries.shape[-1], tf.int64), count)
