"""`numeric`: a number or a vector of them, scaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs.column import Batch, Column, Dtype, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.number_column import NumberColumn
from tfloom.feature_specs.statistics import Statistics


class Numeric(NumberColumn):
    """A number or a vector, float32 [B, size]: missing ones filled, then clipped, their logarithm taken, scaled.

    clip: `[low, high]`, what lies beyond becomes; null for an open side.
    log1p: ln(1 + x), after clipping; NaN where x is -1 or less.
    scale: `none`, `z_score` (tft.scale_to_z_score), `min_max` (tft.scale_by_min_max), `zero_one` (tft.scale_to_0_1),
      `gaussian` (tft.scale_to_gaussian) or `robust`, (x - median) / (upper quartile - lower quartile); learned on the
      training split from the values present, clipped and with their logarithm taken as above.
    range: `[low, high]`, what `min_max` makes of the least and of the greatest value; left out, [0, 1].
    per_key: an input, strings or integers; for each of its values everything is learned apart, the mean or median of
      `missing` too. Where training has not seen the value, it is what was learned of all rows.
    elementwise: of a vector, learn of each of its elements apart; without it, of all of them together.
    """

    kind: Literal["numeric"] = "numeric"
    clip: Annotated[tuple[FiniteFloat | None, ...], Field(min_length=2, max_length=2)] | None = None
    log1p: bool = False
    scale: Literal["none", "z_score", "min_max", "zero_one", "gaussian", "robust"] = "none"
    range: Annotated[tuple[FiniteFloat, ...], Field(min_length=2, max_length=2)] | None = None
    per_key: str | None = None
    elementwise: bool = False

    @model_validator(mode="after")
    def _holds_together(self) -> Numeric:
        if self.clip is not None:
            low, high = self.clip
            if low is None and high is None:
                raise ValueError("has a clip without a bound")
            if low is not None and high is not None and low >= high:
                raise ValueError("has a clip that does not increase")
            if self.log1p and high is not None and high <= -1:
                raise ValueError("has log1p of what is clipped to -1 or less, where there is none")
        if self.range is not None:
            if self.scale != "min_max":
                raise ValueError("has a range, which is for scale: min_max")
            if self.range[0] >= self.range[1]:
                raise ValueError("has a range that does not increase")
        if self.per_key is not None:
            if not self._learns():
                raise ValueError("has per_key and learns nothing: no scale, and no mean or median for `missing`")
            if self.per_key == (self.source or self.name):
                raise ValueError("has per_key of the number itself")
        if self.elementwise:
            if self.size == 1:
                raise ValueError("has elementwise, and no shape of several elements")
            if not self._learns():
                raise ValueError("has elementwise and learns nothing: no scale, and no mean or median for `missing`")
            if self.per_key is not None:
                raise ValueError("has elementwise and per_key: what is learned is of each element or of each key")
        return self

    def _learns(self) -> bool:
        return self.scale != "none" or self.missing in ("mean", "median")

    def inputs(self) -> tuple[str, ...]:
        return (*super().inputs(), *((self.per_key,) if self.per_key is not None else ()))

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        return ("string", "int64") if name == self.per_key else self.accepts

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", self.size * (2 if self.indicator else 1))

    def transform(self, values: Values) -> Any:
        x = self.numbers(values)
        key = None if self.per_key is None else values.key(self.per_key)
        learned = raw = Statistics(self.name, x, key, self.elementwise)
        if (prepared := self._prepared(x)) is not x:
            learned = Statistics(f"{self.name}_{self.scale}", prepared, key, self.elementwise)
        number = self._prepared(self.filled(x, raw))
        return self.indicated(self._scaled(number, learned), values)

    def _prepared(self, x: Any) -> Any:
        """Clipped, its logarithm taken. NaN stays NaN."""
        import tensorflow as tf

        low, high = self.clip or (None, None)
        if low is not None:
            x = tf.where(x < low, tf.constant(low, tf.float32), x)
        if high is not None:
            x = tf.where(x > high, tf.constant(high, tf.float32), x)
        if self.log1p:
            # The NaN of a logarithm has other bits in a batch than alone.
            x = tf.where(x > -1, tf.cast(tf.math.log1p(tf.cast(x, tf.float64)), tf.float32), float("nan"))
        return x

    def _scaled(self, x: Any, learned: Statistics) -> Any:
        """In the dtype of what is learned, rounded once."""
        import tensorflow as tf

        match self.scale:
            case "none":
                return x
            case "z_score":
                mean, variance = learned.mean_and_variance
                scaled = _divided(tf.cast(x, mean.dtype) - mean, tf.sqrt(variance))
            case "robust":
                lower, median, upper = learned.quantiles(4)
                scaled = _divided(x - median, upper - lower)
            case "gaussian":
                scaled = _gaussian(tf.cast(x, tf.float64), *learned.tukey())
            case "min_max" | "zero_one":
                low, high = learned.min_and_max()
                # In float64, rounded once: float32 sigmoid depends on where a row stands in its batch.
                constant = tf.cast(tf.sigmoid(tf.cast(x, tf.float64)), tf.float32)
                scaled = tf.where(high > low, tf.math.divide_no_nan(x - low, high - low), constant)
                least, greatest = self.range or (0.0, 1.0)
                scaled = scaled * (greatest - least) + least
        return tf.cast(scaled, tf.float32)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if self._learns():
            raise SpecError(f"columns.{self.name}: its scale is learned, no tf.feature_column over raw rows has it")
        if self.indicator:
            raise SpecError(f"columns.{self.name}: no tf.feature_column tells whether a value is missing")
        shape: Any = (1,) if self.shape is None else self.shape
        default = np.reshape(self.missing, shape).tolist() if isinstance(self.missing, tuple) else self.missing

        def normalized(x: Any) -> Any:
            # A default is for a vector that is absent, `missing` for an element of one, too.
            flat = tf.reshape(x, [-1, self.size])
            return tf.reshape(self._prepared(self.filled(flat, Statistics(self.name, flat))), tf.shape(x))

        changed = self.clip or self.log1p or (self.shape is not None and self.missing is not None)
        return tf.feature_column.numeric_column(
            *self.inputs(), shape, default_value=default, normalizer_fn=normalized if changed else None
        )

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name, self.transformed_type.dimension)


def _divided(x: Any, scale: Any) -> Any:
    """x / scale, x itself where the scale is 0: nothing was learned, or one value alone."""
    import tensorflow as tf

    return tf.where(scale != 0, tf.math.divide_no_nan(x, scale), x)


def _gaussian(x: Any, location: Any, scale: Any, left: Any, right: Any, variance: Any) -> Any:
    """tft.scale_to_gaussian: by the inverse of a Tukey HH distribution, by the z-score where no tail is long."""
    import tensorflow as tf
    from tensorflow_transform import gaussianization

    long_tailed = (left > 0) | (right > 0)
    scaled = _divided(x - location, tf.where(long_tailed, scale, tf.sqrt(variance)))
    return gaussianization.inverse_tukey_hh(scaled, left, right)
