"""`indicator`: a categorical column as counts, one number a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Column, DerivedColumn
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input


class Indicator(DerivedColumn):
    """How often each id of the column `of` occurs in the row: float32 [B, num_buckets]; negative ids count nowhere."""

    kind: Literal["indicator"] = "indicator"

    def encode(self, value: Any, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        import tensorflow as tf

        return Dense(tf.reduce_sum(tf.one_hot(value, num_buckets[self.of], dtype=tf.float32), axis=1))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        return tf.feature_column.indicator_column(columns[self.of].raw_feature_column(columns, inputs))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.indicator_column(columns[self.of].transformed_feature_column(columns, num_buckets))
