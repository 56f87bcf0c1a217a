"""`sequence_indicator`: a categorical column as a one-hot vector for each of its ids, in order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Batch, Column
from tfloom.feature_specs.features import Sequence
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.sequence_ids_column import SequenceIdsColumn


class SequenceIndicator(SequenceIdsColumn):
    """A step for each id of the column `of`, 1 at the id and 0 elsewhere: float32 [B, T, num_buckets], with a mask."""

    kind: Literal["sequence_indicator"] = "sequence_indicator"

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Sequence:
        import tensorflow as tf

        ids = self.steps(batch)
        return Sequence(tf.one_hot(ids, num_buckets[self.of], dtype=tf.float32), ids >= 0)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        of = columns[self.of].raw_feature_column(columns, inputs)
        return tf.feature_column.indicator_column(self.sequence(of))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        of = columns[self.of].transformed_feature_column(columns, num_buckets)
        return tf.feature_column.indicator_column(self.sequence(of))
