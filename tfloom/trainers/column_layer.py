"""The one Keras layer for every kind of column: it holds their variables and runs their `encode`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfloom.feature_specs.column import Column, Variable
from tfloom.feature_specs.features import Feature


class ColumnLayer(keras.Layer):
    """Materialised columns of a batch, by name -> the typed features of each part, in the order of its columns."""

    def __init__(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int]) -> None:
        super().__init__(name="columns")
        self.parts, self.num_buckets = parts, dict(num_buckets)
        self.tables = {}
        for column in dict.fromkeys(c for columns in parts.values() for c in columns):
            self.tables[column.name] = {
                name: self.add_weight(one.shape, _start(one), name=f"{column.name}_{name}")
                for name, one in column.variables(self.num_buckets).items()
            }

    def call(self, inputs: Mapping[str, Any]) -> dict[str, tuple[Feature, ...]]:
        encoded = {
            name: column.encode(inputs[column.materialised], self.tables[name], self.num_buckets)
            for name, column in {c.name: c for columns in self.parts.values() for c in columns}.items()
        }
        return {part: tuple(encoded[column.name] for column in columns) for part, columns in self.parts.items()}


def _start(variable: Variable) -> keras.Initializer:
    normal = keras.initializers.TruncatedNormal if variable.truncated else keras.initializers.RandomNormal
    return normal(stddev=variable.stddev)
