"""`constant`: the same number in every row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import FiniteFloat

from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense


class Constant(Column):
    """The same number in every row, float32 [B, 1].

    value: the number.
    """

    kind: Literal["constant"] = "constant"
    value: FiniteFloat

    def inputs(self) -> tuple[str, ...]:
        return ()

    def check(self, columns: Mapping[str, Column]) -> None:
        if not any(column.inputs() for column in columns.values()):
            raise SpecError(f"columns.{self.name}: no column beside it reads the data",
                            expected="a column that reads an input, for a constant says not how many rows there are",
                            received=", ".join(columns))  # fmt: skip

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        # As many rows as any input has.
        some = next(name for column in values.columns.values() for name in column.inputs())
        return tf.fill([values.ragged(some).nrows(), 1], tf.constant(self.value, tf.float32))

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name)
