"""`linear`: a weighted sum."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras
import tensorflow as tf

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.features import Categorical, Dense
from tfloom.trainers.backbone import Backbone, Features


class Linear(Backbone):
    """A weight for every id of a categorical column and for every number, summed, and a bias (tf.estimator's Linear).

    Where the ids of a column have weights of their own, each is multiplied by that.

    It reads the group `wide` where the spec has one, else every column.
    """

    accepts = {"wide": (Categorical, Dense)}
    estimator = "Linear"

    name: Literal["linear"] = "linear"

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        return LinearLayer(parts["wide"], num_buckets, units)


class LinearLayer(keras.Layer):
    """Features -> float32 [B, units]. All weights start at 0."""

    def __init__(self, columns: tuple[Column, ...], num_buckets: Mapping[str, int], units: int) -> None:
        super().__init__(name="linear")
        self.tables = {
            column.name: self.add_weight((num_buckets[column.name], units), "zeros", name=f"{column.name}_weights")
            for column in columns
            if column.feature_type() is Categorical
        }
        self.columns = columns
        self.kernel = keras.layers.Dense(
            units, use_bias=False, kernel_initializer="zeros", name="numbers", dtype="float32"
        )
        self.bias = self.add_weight((units,), "zeros", name="bias")

    def call(self, features: Features, training: bool = False) -> Any:
        numbers = [one.values for one in features["wide"] if isinstance(one, Dense)]
        total = tf.convert_to_tensor(self.bias)[None, :]
        if numbers:
            total += self.kernel(keras.ops.concatenate(numbers, axis=-1))
        for column, one in zip(self.columns, features["wide"], strict=True):
            if isinstance(one, Categorical):
                weights = tf.cast(one.ids >= 0, tf.float32)
                if one.weights is not None:
                    weights = tf.where(one.ids >= 0, one.weights, 0.0)
                rows = tf.gather(self.tables[column.name], tf.maximum(one.ids, 0))
                total += tf.reduce_sum(rows * weights[..., None], axis=1)
        return total
