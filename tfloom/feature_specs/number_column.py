"""What the kinds that read one number a row share: what becomes of a missing one."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import FiniteFloat, model_validator

from tfloom.feature_specs.column import Column, Dtype, Values
from tfloom.feature_specs.statistics import Statistics


class NumberColumn(Column):
    """A column made of one number a row.

    missing: what stands in for a missing value (null or NaN): a number, or the `mean` or `median` of the values
      present, learned on the training split. Without it a row that lacks the value is rejected.
    indicator: one number more at the end, 1 where the value was missing and 0 elsewhere.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    source: str | None = None
    missing: FiniteFloat | Literal["mean", "median"] | None = None
    indicator: bool = False

    @model_validator(mode="after")
    def _indicates_something(self) -> NumberColumn:
        if self.indicator and self.missing is None:
            raise ValueError("has indicator: true, which is always 0 without `missing`: such a row is rejected")
        return self

    def needs_value(self, name: str) -> bool:
        """Whether its number may not be missing; a key may."""
        return self.missing is None and name == self.inputs()[0]

    def filled(self, x: Any, learned: Statistics) -> Any:
        """x, float32 [B], with what stands in for NaN."""
        import tensorflow as tf

        if self.missing is None:
            return x
        if self.missing == "mean":
            instead, _ = learned.mean_and_variance()
        elif self.missing == "median":
            (instead,) = learned.quantiles(2)
        else:
            instead = tf.constant(self.missing)
        return tf.where(tf.math.is_nan(x), tf.cast(instead, tf.float32), x)

    def indicated(self, numbers: Any, values: Values) -> Any:
        """float32 [B, D] -> [B, D + 1] where there is an indicator."""
        import tensorflow as tf

        if not self.indicator:
            return numbers
        absent = tf.math.is_nan(values.scalar(self.inputs()[0]))
        return tf.concat([numbers, tf.cast(absent, tf.float32)[:, None]], axis=1)
