"""What the kinds that give numbers for numbers share: what becomes of a missing one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import FiniteFloat, model_validator

from tfloom.feature_specs.column import Dtype, Values
from tfloom.feature_specs.statistics import Statistics
from tfloom.feature_specs.vector_column import VectorColumn


class NumberColumn(VectorColumn):
    """A column of numbers made of one number a row, or of a vector.

    missing: what stands in for a missing value (null or NaN): a number, or the `mean` or `median` of the values
      present, learned on the training split; of a vector also a list, a number for each element. Without it a row
      that lacks a value is rejected.
    indicator: one number more at the end for each number of the row, 1 where it was missing and 0 elsewhere.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    missing: FiniteFloat | tuple[FiniteFloat, ...] | Literal["mean", "median"] | None = None
    indicator: bool = False

    @model_validator(mode="after")
    def _missing_holds_together(self) -> NumberColumn:
        if self.indicator and self.missing is None:
            raise ValueError("has indicator: true, which is always 0 without `missing`: such a row is rejected")
        if isinstance(self.missing, tuple):
            if self.shape is None:
                raise ValueError("has a list for `missing`, and no shape")
            if len(self.missing) != self.size:
                raise ValueError(f"has {len(self.missing)} numbers for `missing`, and a row holds {self.size}")
        return self

    def needs_value(self, name: str) -> bool:
        """Whether its numbers may not be missing; a key may."""
        return self.missing is None and name == self.inputs()[0]

    def filled(self, x: Any, learned: Statistics) -> Any:
        """x, float32 [B, size], with what stands in for NaN."""
        import tensorflow as tf

        if self.missing is None:
            return x
        if self.missing == "mean":
            instead, _ = learned.mean_and_variance
        elif self.missing == "median":
            (instead,) = learned.quantiles(2)
        else:
            instead = tf.constant(self.missing)
        return tf.where(tf.math.is_nan(x), tf.cast(instead, tf.float32), x)

    def indicated(self, numbers: Any, values: Values) -> Any:
        """float32 [B, D] -> [B, D + size] where there is an indicator."""
        import tensorflow as tf

        if not self.indicator:
            return numbers
        return tf.concat([numbers, tf.cast(tf.math.is_nan(self.numbers(values)), tf.float32)], axis=1)
