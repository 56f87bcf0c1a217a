"""`weighted`: a categorical column whose ids have the weights of another input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from tfloom.feature_specs.column import CategoricalColumn, Column, Dtype, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.ragged import beside
from tfloom.feature_specs.weighted_ids import WeightedIds


class Weighted(WeightedIds):
    """The ids of the column `of`, weighed by a numeric input (tf.feature_column.weighted_categorical_column).

    of: the categorical column whose ids it weighs: of a kind that has an id for each value of one input, such as
      vocabulary, hashed and identity.
    weights: a numeric input, as many numbers a row as the input of that column has values; each belongs to the value
      at its place. A missing weight is 0.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")
    reads_many: ClassVar[bool] = True

    kind: Literal["weighted"] = "weighted"
    weights: str

    def inputs(self) -> tuple[str, ...]:
        return (self.weights,)

    def parallel(self, columns: Mapping[str, Column]) -> tuple[str, str]:
        return columns[self.of].inputs()[0], self.weights

    def check(self, columns: Mapping[str, Column]) -> None:
        if not _weighable(columns[self.of]):
            names = sorted(name for name, column in columns.items() if _weighable(column))
            raise SpecError(
                f"columns.{self.name}.of: {self.of!r} does not have an id for each value of an input",
                expected="a vocabulary, hashed or identity column" + (f", one of: {', '.join(names)}" if names else ""),
                received=f"{self.of!r}, which is {columns[self.of].kind}",
            )
        of, _ = self.parallel(columns)
        weighed = {
            column.weights: column.parallel(columns)[0]
            for column in columns.values()
            if isinstance(column, Weighted) and column.of in columns and _weighable(columns[column.of])
        }
        if of in weighed:
            raise SpecError(
                f"columns.{self.name}.weights: the values of {of!r} are weights themselves",
                expected="an input of numbers beside those of the values",
                received=repr(self.weights),
            )
        # Of two inputs each would leave out weights where its own values are missing.
        if weighed[self.weights] != of:
            raise SpecError(
                f"columns.{self.name}.weights: {self.weights!r} weighs the values of {weighed[self.weights]!r} too",
                expected=f"an input that weighs {of!r} alone",
                received=repr(self.weights),
            )

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        of, weights = self.parallel(values.columns)
        x, given = values.ragged(of), values.ragged(weights)
        numbers = beside(x, given.with_flat_values(tf.cast(given.flat_values, tf.float32)))
        numbers = tf.where(tf.math.is_nan(numbers), 0.0, numbers)
        # As Values.categorical drops values, and with it the column `of`.
        present = x.flat_values != ("" if x.dtype == tf.string else -1)
        return values.column(self.of).with_flat_values(tf.boolean_mask(numbers, present))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        ids = columns[self.of].raw_feature_column(columns, inputs)
        return tf.feature_column.weighted_categorical_column(ids, self.weights, tf.as_dtype(inputs[self.weights].dtype))


def _weighable(column: Column) -> bool:
    return isinstance(column, CategoricalColumn) and column.one_id_a_value
