"""What the kinds that make steps of a categorical column's ids share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfloom.feature_specs.column import Batch, CategoricalColumn, Column, DerivedColumn
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.sequence_column import SequenceColumn


class SequenceIdsColumn(SequenceColumn, DerivedColumn):
    """A column with a step for each id of another, in their order. An unknown value, without an id, is no step.

    of: the categorical column whose ids it reads.
    """

    def check(self, columns: Mapping[str, Column]) -> None:
        """Also where the ids of `of` have weights."""
        super().check(columns)
        if not isinstance(columns[self.of], CategoricalColumn):
            raise SpecError(
                f"columns.{self.name}.of: {self.of!r} has ids with something beside them, a step is an id alone",
                expected="the categorical column that it is made of",
                received=f"{self.of!r}, which is {columns[self.of].kind}",
            )

    def steps(self, batch: Batch) -> Any:
        """int64 [B, T], right-padded with -1."""
        return self.kept_ids(batch.feature(self.of).ids)  # type: ignore[union-attr]

    def sequence(self, categorical: Any) -> Any:
        """The sequence_categorical_column of a categorical_column. Raises SpecError where there is none."""
        # TensorFlow makes them by one function a kind; each of these does no more than this.
        from tensorflow.python.feature_column.feature_column_v2 import SequenceCategoricalColumn

        if self.max_length is not None:
            raise SpecError(f"columns.{self.name}: no tf.feature_column has a max_length")
        return SequenceCategoricalColumn(categorical)
