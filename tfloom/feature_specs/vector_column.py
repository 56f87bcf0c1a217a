"""What the kinds that read numbers share: one a row, or a vector of as many as `shape` says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from tfloom.feature_specs.column import Column, Values
from tfloom.feature_specs.errors import SpecError

Size = Annotated[int, Field(ge=1)]


class VectorColumn(Column):
    """A column made of the numbers of an input, as many in each row.

    shape: of a vector, how many numbers a row holds: an integer, or the sizes of several axes, whose product it is; a
      row with another number of them is rejected. Left out, a row holds one number.
    """

    source: str | None = None
    shape: Size | Annotated[tuple[Size, ...], Field(min_length=1)] | None = None

    @property
    def size(self) -> int:
        """How many numbers a row holds."""
        return math.prod(self.shape) if isinstance(self.shape, tuple) else self.shape or 1

    def vector_size(self, name: str) -> int | None:
        """That of the input of its numbers, where there is a shape."""
        return self.size if self.shape is not None and name == self.inputs()[0] else None

    def check(self, columns: Mapping[str, Column]) -> None:
        """Raise SpecError where another column has the same input in another shape: one would reject every row."""
        super().check(columns)
        source = self.inputs()[0]
        for other in columns.values():
            size = other.vector_size(source) if source in other.inputs() else None
            if self.vector_size(source) is not None and size not in (None, self.size):
                raise SpecError(
                    f"columns.{self.name}.shape: columns.{other.name} has {source!r} in another shape",
                    expected="as many numbers for every column that reads them",
                    received=f"{self.size} and {size}",
                )

    def numbers(self, values: Values) -> Any:
        """float32 [B, size], NaN where missing."""
        source = self.inputs()[0]
        return values.first(source) if self.shape is None else values.vector(source, self.size)
