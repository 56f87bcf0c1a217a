"""`cnn`: a small convolutional network."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import keras
from pydantic import Field

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.columns.image import Image as ImageColumn
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Image
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.backbone import Backbone, Features


class Cnn(Backbone):
    """3 x 3 convolutions with batch normalization and ReLU, the picture halved between them; then the channels' means.

    It reads the group `image` where the spec has one, else every column: pictures of one size, their channels stacked.

    filters: of each convolution. dropout: the share of units dropped before the last layer.
    """

    accepts = {"image": (Image,)}

    name: Literal["cnn"] = "cnn"
    filters: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] = (32, 64, 128)
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0

    def parts(self, spec: FeatureSpec) -> dict[str, tuple[Column, ...]]:
        chosen = super().parts(spec)
        pictures = [one for one in chosen["image"] if isinstance(one, ImageColumn)]
        for first, other in itertools.pairwise(pictures):
            if (other.height, other.width) != (first.height, first.width):
                raise SpecError(
                    f"columns.{other.name}: the backbone cnn reads pictures of one size, their channels stacked",
                    expected=f"{first.height} x {first.width}, as columns.{first.name}",
                    received=f"{other.height} x {other.width}",
                )
        return chosen

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        return CnnLayer(self.filters, self.dropout, units)


class CnnLayer(keras.Layer):
    """Features -> float32 [B, units]."""

    def __init__(self, filters: tuple[int, ...], dropout: float, units: int) -> None:
        super().__init__(name="cnn")
        self.steps = []
        for i, width in enumerate(filters):
            if i:
                self.steps.append(keras.layers.MaxPooling2D(padding="same"))
            self.steps.append(keras.layers.Conv2D(width, 3, padding="same", use_bias=False))
            self.steps.append(keras.layers.BatchNormalization(momentum=0.9))
            self.steps.append(keras.layers.ReLU())
        self.steps.append(keras.layers.GlobalAveragePooling2D())
        if dropout:
            self.steps.append(keras.layers.Dropout(dropout))
        self.steps.append(keras.layers.Dense(units))

    def call(self, features: Features, training: bool = False) -> Any:
        x = keras.ops.concatenate([one.values for one in features["image"]], axis=-1)  # type: ignore[union-attr]
        for step in self.steps:
            x = step(x, training=training)
        return x
