"""`dnn`: fully connected layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import keras
from pydantic import Field, field_validator

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.features import Dense
from tfloom.trainers.backbone import Backbone, Features, dense


class Dnn(Backbone):
    """Fully connected layers over the dense features side by side (tf.estimator's DNN).

    It reads the group `deep` where the spec has one, else every column.

    hidden: units of each layer. activation: Keras' name of one. dropout: the share of units dropped after each layer.
    batch_norm: batch normalization after each activation.
    """

    accepts = {"deep": (Dense,)}
    estimator = "DNN"

    name: Literal["dnn"] = "dnn"
    hidden: tuple[Annotated[int, Field(ge=1)], ...] = (128, 64)
    activation: str = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2
    batch_norm: bool = False

    @field_validator("activation")
    @classmethod
    def _known(cls, activation: str) -> str:
        try:
            keras.activations.get(activation)
        except ValueError:
            raise ValueError("the name of one of Keras' activations, such as relu") from None
        return activation

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        return DnnLayer(self.hidden, self.activation, self.dropout, self.batch_norm, units)


class DnnLayer(keras.Layer):
    """Features -> float32 [B, units]."""

    def __init__(self, hidden: tuple[int, ...], activation: str, dropout: float, batch_norm: bool, units: int) -> None:
        super().__init__(name="dnn")
        self.steps = []
        for width in hidden:
            self.steps.append(keras.layers.Dense(width, activation))
            if batch_norm:
                self.steps.append(keras.layers.BatchNormalization(momentum=0.9))
            if dropout:
                self.steps.append(keras.layers.Dropout(dropout))
        self.steps.append(keras.layers.Dense(units))

    def call(self, features: Features, training: bool = False) -> Any:
        x = dense(features["deep"])
        for step in self.steps:
            x = step(x, training=training)
        return x
