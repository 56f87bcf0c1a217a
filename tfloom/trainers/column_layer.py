"""The one Keras layer for every kind of column: it holds their variables and runs their `encode`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfloom.feature_specs.column import Column, Variable
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.features import Feature
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.table_column import variables


class ColumnLayer(keras.Layer):
    """Materialised columns of a batch, by name -> the typed features of each part, in the order of its columns."""

    def __init__(
        self, spec: FeatureSpec, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int]
    ) -> None:
        super().__init__(name="columns")
        self.spec, self.parts, self.num_buckets = spec, parts, dict(num_buckets)
        read = spec.encoded(column for columns in parts.values() for column in columns)
        self.declared = variables(read, self.num_buckets)
        made: dict[str, keras.Variable] = {}
        self.tables = {
            column: {name: self._weight(one, f"{one.shared or column}_{name}", made) for name, one in told.items()}
            for column, told in self.declared.items()
        }

    def _weight(self, one: Variable, name: str, shared: dict[str, keras.Variable]) -> keras.Variable:
        if one.shared in shared:
            return shared[one.shared]
        weight = self.add_weight(one.shape, _start(one), trainable=one.trainable, name=name)
        if one.shared is not None:
            shared[one.shared] = weight
        return weight

    def read_saved(self) -> None:
        """Put what is saved in files into the variables that start from it. Raises SpecError."""
        for column, told in self.declared.items():
            for name, one in told.items():
                if one.saved is not None:
                    self.tables[column][name].assign(one.saved.read(one.shape))

    def call(self, inputs: Mapping[str, Any]) -> dict[str, tuple[Feature, ...]]:
        batch = Encoded(self.spec.by_name, inputs, self.tables, self.num_buckets)
        return {part: tuple(batch.feature(column.name) for column in columns) for part, columns in self.parts.items()}


def _start(variable: Variable) -> keras.Initializer:
    # Keras has the names of tf.compat.v1, written as those of classes.
    name = variable.initializer.name.replace("_", " ").title().replace(" ", "")
    return getattr(keras.initializers, name)(**variable.initializer.numbers)
