"""`bucketized`: a number, as the index of the bucket it falls into."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from tfloom.feature_specs.bucket_column import BucketColumn, passed
from tfloom.feature_specs.column import CategoricalColumn, Column, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input


class Bucketized(BucketColumn, CategoricalColumn):
    """The number of boundaries that are <= x, compared in float32; a missing value goes to the last bucket.

    A vector has an id for each element: bucket + i * (n + 1) of element i, for n boundaries.
    """

    reads_many: ClassVar[bool] = False

    kind: Literal["bucketized"] = "bucketized"

    def num_buckets(self, vocabulary_size: int) -> int:
        return self.size * self.buckets

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        x = self.numbers(values)
        ids = passed(x, self.boundaries_of(x, values))
        if self.size > 1:
            ids += tf.range(self.size, dtype=tf.int64) * self.buckets
        return tf.RaggedTensor.from_tensor(ids)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if not self.boundaries:
            raise SpecError(
                f"columns.{self.name}: its quantiles are learned, no tf.feature_column over raw rows has them"
            )
        # One axis alone can be bucketized.
        number = tf.feature_column.numeric_column(*self.inputs(), self.size, default_value=float("nan"))
        return tf.feature_column.bucketized_column(number, self.boundaries)
