"""A table of numbers in a file: what a variable may start from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import SpecError, nearest


@dataclass(frozen=True)
class SavedTable:
    """An array that np.save wrote, or a variable of a TensorFlow checkpoint.

    place: the field of the spec that names it, for errors. path: of the array's file, or what those of the checkpoint
    begin with. variable: its name in the checkpoint; None for an array.
    """

    place: str = field(compare=False)
    path: str
    variable: str | None = None

    def read(self, shape: tuple[int, ...]) -> Any:
        """float32 [*shape]. Raises SpecError where it cannot be read, or is of another shape."""
        import numpy as np

        table = self._array() if self.variable is None else self._of_checkpoint(self.variable)
        if table.shape != shape or table.dtype.kind != "f":
            raise SpecError(
                f"{self.place}: {self.path}: {self.variable or 'the array'} is not the table",
                expected=f"floats of shape {list(shape)}, a vector for each id",
                received=f"{table.dtype.name} of shape {list(table.shape)}",
            )
        return table.astype(np.float32)

    def _array(self) -> Any:
        import numpy as np

        try:
            return np.load(storage.fetch(self.path), allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise SpecError(f"{self.place}: cannot be read", expected="a NumPy array that np.save wrote",
                            received=f"{self.path}: {error}") from None  # fmt: skip

    def _of_checkpoint(self, variable: str) -> Any:
        import tensorflow as tf

        try:
            if storage.is_remote(self.path):
                for file in storage.glob(f"{self.path}.*"):
                    storage.fetch(file)
            reader = tf.train.load_checkpoint(str(storage.local(self.path)))
            names = reader.get_variable_to_shape_map()
        except (ValueError, tf.errors.OpError) as error:
            raise SpecError(f"{self.place}: cannot be read", expected="a TensorFlow checkpoint, without .index",
                            received=f"{self.path}: {str(error)[:200]}") from None  # fmt: skip
        if variable not in names:
            raise SpecError(f"{self.place}_variable: {self.path} has no {variable!r}",
                            expected=nearest(variable, names), received=repr(variable))  # fmt: skip
        return reader.get_tensor(variable)
