"""A batch of materialised rows, and the feature that each column makes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.features import Feature


class Encoded:
    """See feature_specs.column.Batch.

    columns: by name, those asked for and those that they encode. values: the materialised columns by name, dense, or
    what their `augment` gave.
    variables: by column what it trains, by name. num_buckets: that of every column with ids.
    """

    def __init__(
        self,
        columns: Mapping[str, Column],
        values: Mapping[str, Any],
        variables: Mapping[str, Mapping[str, Any]],
        num_buckets: Mapping[str, int],
    ) -> None:
        self.columns, self.values, self.variables, self.num_buckets = columns, values, variables, num_buckets
        self._features: dict[str, Feature] = {}

    def value(self, name: str) -> Any:
        """The materialised value of a column."""
        return self.values[name]

    def feature(self, name: str) -> Feature:
        """What a column's `encode` gives, called once however many columns ask for it."""
        if name not in self._features:
            self._features[name] = self.columns[name].encode(self, self.variables.get(name, {}), self.num_buckets)
        return self._features[name]
