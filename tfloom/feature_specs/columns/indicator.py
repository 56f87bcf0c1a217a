"""`indicator`: a categorical column as counts, one number a bucket."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Batch, Column, DerivedColumn
from tfloom.feature_specs.features import Categorical, Dense
from tfloom.feature_specs.inputs import Input


class Indicator(DerivedColumn):
    """How often each id of the column `of` occurs in the row: float32 [B, num_buckets]; negative ids count nowhere.

    Where the ids have weights, it is the sum of these.
    """

    kind: Literal["indicator"] = "indicator"

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        import tensorflow as tf

        of = batch.feature(self.of)
        assert isinstance(of, Categorical)
        if of.weights is None:
            return Dense(tf.reduce_sum(tf.one_hot(of.ids, of.num_buckets, dtype=tf.float32), axis=1))
        # Not a product: the weight of one id, infinite at worst, is nothing to the others.
        here = of.ids[..., None] == tf.range(of.num_buckets, dtype=tf.int64)
        return Dense(tf.reduce_sum(tf.where(here, of.weights[..., None], 0.0), axis=1))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        return tf.feature_column.indicator_column(columns[self.of].raw_feature_column(columns, inputs))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.indicator_column(columns[self.of].transformed_feature_column(columns, num_buckets))
