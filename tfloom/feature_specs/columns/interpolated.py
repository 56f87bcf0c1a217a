"""`interpolated`: a number, as how far it has come through the buckets between boundaries, from 0 to 1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from tfloom.feature_specs.bucket_column import BucketColumn, passed
from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input


class Interpolated(BucketColumn):
    """tft.apply_buckets_with_interpolation, float32 [B, size]: where each number lies among n boundaries, from 0 to 1.

    It is i / (n - 1) at boundary i, a straight line between two, 0 below the first and 1 above the last; a missing
    value is 0.5, the middle. Of quantiles it is about the share of the training rows that lie below.
    """

    kind: Literal["interpolated"] = "interpolated"

    @model_validator(mode="after")
    def _has_something_between(self) -> Interpolated:
        if self.buckets < 3:
            raise ValueError("needs at least 2 boundaries or 3 quantiles, to lie between")
        if self.boundaries:
            with np.errstate(over="ignore"):
                widths = np.diff(np.asarray(self.boundaries, np.float32))
            if not (np.isfinite(widths) & (widths > 0)).all():
                raise ValueError("boundaries must increase, and be finite, as float32")
        return self

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", self.size)

    def transform(self, values: Values) -> Any:
        x = self.numbers(values)
        return _interpolated(x, self.boundaries_of(x, values))

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if not self.boundaries:
            raise SpecError(
                f"columns.{self.name}: its quantiles are learned, no tf.feature_column over raw rows has them"
            )
        return tf.feature_column.numeric_column(
            *self.inputs(), self.size, default_value=float("nan"),
            normalizer_fn=lambda x: _interpolated(x, tf.constant(self.boundaries, tf.float32)),
        )  # fmt: skip

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name, self.size)


def _interpolated(x: Any, boundaries: Any) -> Any:
    """Numbers [B, D] among boundaries, as BucketColumn.boundaries_of gives them, n along their last axis -> [B, D]."""
    import tensorflow as tf

    last = boundaries.shape[-1] - 1
    index = passed(x, boundaries)
    below = tf.maximum(index - 1, 0)
    low = _at(boundaries, below)
    width = _at(boundaries, tf.minimum(index, last)) - low
    # In the middle of a bucket that float32 cannot measure.
    within = tf.where((width > 0) & tf.math.is_finite(width), tf.math.divide_no_nan(x - low, width), 0.5)
    # Not `==`, which in the graphs that feature columns make compares no numbers.
    within = tf.where(tf.equal(index, 0) | tf.equal(index, last + 1), 0.0, within)
    placed = tf.math.divide_no_nan(tf.cast(below, tf.float32) + within, float(last))
    return tf.where(tf.math.is_nan(x), 0.5, placed)


def _at(boundaries: Any, index: Any) -> Any:
    """The boundaries at an index [B, D] of their last axis: [B, D]."""
    import tensorflow as tf

    if boundaries.shape.rank == 1:
        return tf.gather(boundaries, index)
    if boundaries.shape.rank == 2:
        return tf.transpose(tf.gather(boundaries, tf.transpose(index), batch_dims=1))
    return tf.gather(boundaries[:, 0], index, batch_dims=1)
