"""`wide_deep`: a linear and a deep part, trained together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import keras

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.features import Categorical, Dense
from tfloom.trainers.backbone import Features
from tfloom.trainers.backbones.dnn import Dnn
from tfloom.trainers.backbones.linear import LinearLayer


class WideDeep(Dnn):
    """The sum of `linear` over the group `wide` and `dnn` over `deep` (arXiv:1606.07792; DNNLinearCombined)."""

    accepts = {"wide": (Categorical, Dense), "deep": (Dense,)}
    estimator = "DNNLinearCombined"

    name: Literal["wide_deep"] = "wide_deep"  # type: ignore[assignment]

    def choose(self, part: str, spec: Any) -> tuple[Column, ...]:
        return tuple(spec.model_groups.get(part, ()))

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        return WideDeepLayer(LinearLayer(parts["wide"], num_buckets, units), super().layer(parts, num_buckets, units))


class WideDeepLayer(keras.Layer):
    """Features -> float32 [B, units]."""

    def __init__(self, wide: keras.Layer, deep: keras.Layer) -> None:
        super().__init__(name="wide_deep")
        self.wide, self.deep = wide, deep

    def call(self, features: Features, training: bool = False) -> Any:
        return keras.ops.add(self.wide.call(features), self.deep.call(features, training))
