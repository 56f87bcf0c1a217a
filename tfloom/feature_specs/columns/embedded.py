"""`embedded`: a categorical column as a trained vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Batch, Column
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.table_column import TableColumn


class Embedded(TableColumn):
    """Each id of the column `of` looked up in a table, the row's vectors combined: float32 [B, dimension].

    combiner: `sum`, `mean` or `sqrtn` (sum divided by the root of the count); a row without ids gives zeros.
    max_norm: looked-up vectors are clipped to this l2 norm before they are combined.
    """

    kind: Literal["embedded"] = "embedded"
    combiner: Literal["sum", "mean", "sqrtn"] = "mean"

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        """sum(w e), sum(w e) / sum(w) or sum(w e) / sqrt(sum(w^2)) of the vectors e, as tf.feature_column has it.

        The weights w are those of the ids, or 1 each; but for `sum`, ids whose weight is 0 or less are left out.
        """
        import tensorflow as tf

        of = batch.feature(self.of)
        present = of.ids >= 0  # type: ignore[union-attr]
        weights = tf.cast(present, tf.float32)
        if (given := of.weights) is not None:  # type: ignore[union-attr]
            counts = present if self.combiner == "sum" else present & (given > 0)
            weights = tf.where(counts, given, 0.0)
        vectors = self.looked_up(variables["table"], of.ids)  # type: ignore[union-attr]
        total = tf.reduce_sum(vectors * weights[..., None], axis=1)
        if self.combiner == "mean":
            return Dense(tf.math.divide_no_nan(total, tf.reduce_sum(weights, axis=1)[:, None]))
        if self.combiner == "sqrtn":
            norm = tf.sqrt(tf.reduce_sum(tf.square(weights), axis=1))
            return Dense(tf.math.divide_no_nan(total, norm[:, None]))
        return Dense(total)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        return self.embedding_column(columns[self.of].raw_feature_column(columns, inputs), self.combiner)

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        of = columns[self.of].transformed_feature_column(columns, num_buckets)
        return self.embedding_column(of, self.combiner)
