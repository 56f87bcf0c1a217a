"""Columns, a backbone and a head: the Keras model, rebuilt from its two specs and never unpickled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import inputs
from tfloom.trainers.column_layer import ColumnLayer
from tfloom.trainers.head import Head, head
from tfloom.trainers.train_spec import TrainSpec


class Network(keras.Model):
    """Materialised columns of a batch, by name -> float32 [B, units]."""

    def __init__(self, columns: ColumnLayer, backbone: keras.Layer) -> None:
        super().__init__(name="network")
        self.columns, self.backbone = columns, backbone

    def build(self, input_shape: Any) -> None:
        """Its layers make their own variables, in the first call."""
        self.built = True

    @property
    def tf_variables(self) -> list[Any]:
        """The tf.Variables that a SavedModel of it holds."""
        return [variable.value for variable in self.variables]

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        # The layers' own `call`: between the two go typed features, which Keras' __call__ would look for tensors in.
        return self.backbone.call(self.columns.call(features), training=training)


def build(spec: FeatureSpec, num_buckets: Mapping[str, int], train_spec: TrainSpec) -> tuple[Network, Head]:
    """The network with its variables as they start from the train spec's seed, and its head."""
    keras.utils.set_random_seed(train_spec.seed)
    task = head(spec.label(train_spec.label), train_spec.head)
    backbone = train_spec.backbone_for(spec)
    parts = backbone.parts(spec)
    network = Network(ColumnLayer(spec, parts, num_buckets), backbone.layer(parts, num_buckets, task.units))
    # Makes the variables: traced, for Keras' Conv2D takes a batch of no rows for one of its own input's shape.
    tf.function(network).get_concrete_function(inputs.signature(spec.model_inputs))
    return network, task
