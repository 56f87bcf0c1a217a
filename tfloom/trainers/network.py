"""Columns, a backbone and a head: the Keras model, rebuilt from its two specs and never unpickled."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
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
        super().__init__(name="network", dtype="float32")  # in mixed precision the backbone's layers are, not columns
        self.columns, self.backbone = columns, backbone
        self.precision = keras.config.dtype_policy().name
        """The Keras dtype policy that its layers were made with."""

    def build(self, input_shape: Any) -> None:
        """Its layers make their own variables, in the first call."""
        self.built = True

    @property
    def tf_variables(self) -> list[Any]:
        """The tf.Variables that a SavedModel of it holds."""
        return [variable.value for variable in self.variables]

    def call(self, features: Mapping[str, Any], training: bool = False) -> Any:
        # The layers' own `call`: between the two go typed features, which Keras' __call__ would look for tensors in.
        outputs = self.backbone.call(self.columns.call(features), training=training)
        return keras.ops.cast(outputs, "float32")  # of mixed precision


def build(
    spec: FeatureSpec, num_buckets: Mapping[str, int], train_spec: TrainSpec, training: bool = False
) -> tuple[Network, Head]:
    """The network with its variables as they start from the train spec's seed, and its head.

    training: to be learned from, in mixed precision where the train spec says so; otherwise float32.
    """
    with precision(mixed() if training and train_spec.mixed_precision else "float32"):
        return _build(spec, num_buckets, train_spec)


def mixed() -> str:
    """The Keras dtype policy of mixed precision on this machine."""
    return "mixed_float16" if tf.config.list_physical_devices("GPU") else "mixed_bfloat16"


@contextlib.contextmanager
def precision(policy: str) -> Iterator[None]:
    """Layers made within it have this dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _build(spec: FeatureSpec, num_buckets: Mapping[str, int], train_spec: TrainSpec) -> tuple[Network, Head]:
    keras.utils.set_random_seed(train_spec.seed)
    task = head(spec.label(train_spec.label), train_spec.head)
    backbone = train_spec.backbone_for(spec)
    parts = backbone.parts(spec)
    network = Network(ColumnLayer(spec, parts, num_buckets), backbone.layer(parts, num_buckets, task.units))
    # Makes the variables: traced, for Keras' Conv2D takes a batch of no rows for one of its own input's shape.
    tf.function(network).get_concrete_function(inputs.signature(spec.model_inputs))
    return network, task
