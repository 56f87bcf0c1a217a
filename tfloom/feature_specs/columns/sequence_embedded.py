"""`sequence_embedded`: a categorical column as a trained vector for each of its ids, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Batch, Column
from tfloom.feature_specs.features import Sequence
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.sequence_ids_column import SequenceIdsColumn
from tfloom.feature_specs.table_column import TableColumn


class SequenceEmbedded(SequenceIdsColumn, TableColumn):
    """Each id of the column `of` looked up in a table, a step for each: float32 [B, T, dimension], with a mask."""

    kind: Literal["sequence_embedded"] = "sequence_embedded"

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Sequence:
        import tensorflow as tf

        ids = self.steps(batch)
        mask = ids >= 0
        return Sequence(tf.where(mask[..., None], self.looked_up(variables["table"], ids), 0.0), mask)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        return self.embedding_column(self.sequence(columns[self.of].raw_feature_column(columns, inputs)))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        of = columns[self.of].transformed_feature_column(columns, num_buckets)
        return self.embedding_column(self.sequence(of))
