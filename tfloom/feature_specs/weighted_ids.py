"""What the kinds that give the ids of another column weights share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfloom.feature_specs.column import Batch, CategoricalColumn, Column, DerivedColumn, Transformed
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Categorical


class WeightedIds(DerivedColumn):
    """The ids of the column `of`, each with a weight of its own.

    It materialises the weights alone, place by place those of the ids that the column `of` materialises: none is NaN.

    of: the categorical column whose ids it weighs.
    """

    def check(self, columns: Mapping[str, Column]) -> None:
        if not isinstance(columns[self.of], CategoricalColumn):
            names = sorted(name for name, column in columns.items() if isinstance(column, CategoricalColumn))
            raise SpecError(
                f"columns.{self.name}.of: {self.of!r} has no ids of its own",
                expected=f"a categorical column, one of: {', '.join(names)}",
                received=f"{self.of!r}, which is {columns[self.of].kind}",
            )

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32")

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Categorical:
        import tensorflow as tf

        ids, weights = batch.feature(self.of).ids, batch.value(self.name)  # type: ignore[union-attr]
        return Categorical(ids, num_buckets[self.of], tf.where(tf.math.is_nan(weights), 0.0, weights))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        ids = columns[self.of].transformed_feature_column(columns, num_buckets)
        return tf.feature_column.weighted_categorical_column(ids, self.name)
