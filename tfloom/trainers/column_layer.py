"""The one Keras layer for every kind of column: it holds their variables and runs their `encode`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras

from tfloom.feature_specs.column import Column, Variable
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.features import Feature
from tfloom.feature_specs.spec import FeatureSpec


class ColumnLayer(keras.Layer):
    """Materialised columns of a batch, by name -> the typed features of each part, in the order of its columns."""

    def __init__(
        self, spec: FeatureSpec, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int]
    ) -> None:
        super().__init__(name="columns")
        self.spec, self.parts, self.num_buckets = spec, parts, dict(num_buckets)
        self.tables = {}
        for column in spec.encoded(column for columns in parts.values() for column in columns):
            self.tables[column.name] = {
                name: self.add_weight(one.shape, _start(one), name=f"{column.name}_{name}")
                for name, one in column.variables(self.num_buckets).items()
            }

    def call(self, inputs: Mapping[str, Any]) -> dict[str, tuple[Feature, ...]]:
        batch = Encoded(self.spec.by_name, inputs, self.tables, self.num_buckets)
        return {part: tuple(batch.feature(column.name) for column in columns) for part, columns in self.parts.items()}


def _start(variable: Variable) -> keras.Initializer:
    normal = keras.initializers.TruncatedNormal if variable.truncated else keras.initializers.RandomNormal
    return normal(stddev=variable.stddev)
