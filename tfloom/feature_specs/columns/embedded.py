"""`embedded`: a categorical column as a trained vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from tfloom.feature_specs.column import Batch, Column, DerivedColumn, Variable
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input


class Embedded(DerivedColumn):
    """Each id of the column `of` looked up in a trained table, the row's vectors combined: float32 [B, dimension].

    dimension: the length of a vector.
    combiner: `sum`, `mean` or `sqrtn` (sum divided by the root of the count); a row without ids gives zeros.
    max_norm: looked-up vectors are clipped to this l2 norm before they are combined.
    """

    kind: Literal["embedded"] = "embedded"
    dimension: Annotated[int, Field(ge=1)]
    combiner: Literal["sum", "mean", "sqrtn"] = "mean"
    max_norm: Annotated[FiniteFloat, Field(gt=0)] | None = None

    def variables(self, num_buckets: Mapping[str, int]) -> dict[str, Variable]:
        # tf.feature_column.embedding_column starts from the same distribution.
        return {"table": Variable((num_buckets[self.of], self.dimension), stddev=self.dimension**-0.5)}

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        import tensorflow as tf

        ids = batch.feature(self.of).ids  # type: ignore[union-attr]
        vectors = tf.gather(variables["table"], tf.maximum(ids, 0))
        if self.max_norm is not None:
            vectors = tf.clip_by_norm(vectors, self.max_norm, axes=[-1])
        present = tf.cast(ids >= 0, vectors.dtype)[..., None]
        total, count = tf.reduce_sum(vectors * present, axis=1), tf.reduce_sum(present, axis=1)
        if self.combiner == "mean":
            return Dense(tf.math.divide_no_nan(total, count))
        if self.combiner == "sqrtn":
            return Dense(tf.math.divide_no_nan(total, tf.sqrt(count)))
        return Dense(total)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        return self._embedding(columns[self.of].raw_feature_column(columns, inputs))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        return self._embedding(columns[self.of].transformed_feature_column(columns, num_buckets))

    def _embedding(self, categorical: Any) -> Any:
        import tensorflow as tf

        return tf.feature_column.embedding_column(categorical, self.dimension, self.combiner, max_norm=self.max_norm)
