"""What every backbone says about itself: its fields, the columns it reads and the layer it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar

import keras
from pydantic import BaseModel, ConfigDict

from tfloom.feature_specs import features
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.signature import Signature

Features = Mapping[str, tuple[features.Feature, ...]]
"""What a backbone's layer is called with: for each of its parts the features, in the order of the columns."""


class Backbone(BaseModel):
    """From typed features to the numbers a head reads. A kind derives from it, one file a kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accepts: ClassVar[Mapping[str, tuple[type, ...]]]
    """For each of its parts, the features that it can read."""

    optional: ClassVar[frozenset[str]] = frozenset()
    """Those of its parts that may have nothing to read."""

    estimator: ClassVar[str | None] = None
    """The start of the canned Estimators' names that are the same model: Linear, DNN or DNNLinearCombined."""

    name: str

    def parts(self, spec: FeatureSpec) -> dict[str, tuple[Column, ...]]:
        """The columns that each part reads. Raises SpecError where it cannot read one."""
        chosen = {part: self.choose(part, spec) for part in self.accepts}
        for part, columns in chosen.items():
            for column in columns:
                if not issubclass(column.feature_type(), self.accepts[part]):
                    raise SpecError(
                        f"columns.{column.name}: the backbone {self.name} cannot read it in its {part} part",
                        expected=" or ".join(t.__name__ for t in self.accepts[part])
                        + (", such as an embedded or indicator column of it" if column in spec.categorical else "")
                        + (", such as a pooled column of it" if column.feature_type() is features.Sequence else ""),
                        received=f"{column.feature_type().__name__}, of kind {column.kind}",
                    )
            if not columns and part not in self.optional:
                raise SpecError(
                    f"groups: the backbone {self.name} has nothing to read in its {part} part",
                    expected=f"a group {part!r} with columns in it",
                    received=", ".join(spec.model_groups),
                )
        return chosen

    def choose(self, part: str, spec: FeatureSpec) -> tuple[Column, ...]:
        """The group of the part's name where there is one, else every column of every group."""
        groups = spec.model_groups
        return groups.get(part) or tuple(dict.fromkeys(c for columns in groups.values() for c in columns))

    def signatures(self, spec: FeatureSpec, layer: Any, predictions: Callable[[Any], Any]) -> Mapping[str, Signature]:
        """What an export can be asked because it is this backbone's.

        layer: what `layer` made, trained. predictions: the head's, of outputs [B, units].
        """
        return {}

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        """The layer: call(features: Features, training) -> float32 [B, units]."""
        raise NotImplementedError

    def files(self) -> dict[str, str]:
        """The files that its fields name, by field; a relative path starts at the train spec's folder."""
        return {}

    def read_saved(self, layer: keras.Layer) -> None:
        """Put what is saved in files into the variables of its layer that start from it. Raises SpecError."""

    @property
    def fits_last(self) -> bool:
        """Whether it learns something once the steps are done."""
        return False

    def fit_last(self, network: Any, batches: Iterable[Any]) -> None:
        """Learn what is not learned by steps. Raises SpecError.

        network: with its best weights. batches: of the split train, as it is evaluated: materialised columns by name,
        labels [B] and, where the spec has them, weights [B].
        """


def dense(parts: tuple[features.Feature, ...]) -> Any:
    """Dense features side by side: float32 [B, sum of their D]."""
    return keras.ops.concatenate([one.values for one in parts], axis=-1)  # type: ignore[union-attr]


def default(spec: FeatureSpec) -> str:
    """The backbone for a spec where the train spec names none: what its groups and columns ask for."""
    groups = spec.model_groups
    if "wide" in groups and "deep" in groups:
        return "wide_deep"
    kinds = {column.feature_type() for columns in groups.values() for column in columns}
    if kinds in ({features.Image}, {features.Clip}):
        return "cnn" if features.Image in kinds else "tsm"
    return "linear" if features.Categorical in kinds and "deep" not in groups else "dnn"
