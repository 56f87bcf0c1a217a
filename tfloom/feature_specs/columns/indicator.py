"""`indicator`: a categorical column as counts, one number a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Batch, Column, DerivedColumn
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input


class Indicator(DerivedColumn):
    """How often each id of the column `of` occurs in the row: float32 [B, num_buckets]; negative ids count nowhere."""

    kind: Literal["indicator"] = "indicator"

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        import tensorflow as tf

        of = batch.feature(self.of)
        counts = tf.one_hot(of.ids, of.num_buckets, dtype=tf.float32)  # type: ignore[union-attr]
        return Dense(tf.reduce_sum(counts, axis=1))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        return tf.feature_column.indicator_column(columns[self.of].raw_feature_column(columns, inputs))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.indicator_column(columns[self.of].transformed_feature_column(columns, num_buckets))
