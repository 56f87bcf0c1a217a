"""What the trainer predicts for materialised rows: what an export is held against."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfloom.feature_specs.directories import ExportDirectory, ModelDirectory
from tfloom.feature_specs.errors import ArtefactError
from tfloom.trainers import inputs
from tfloom.trainers.servable import apart
from tfloom.trainers.signature import Predict
from tfloom.trainers.train import load

Predictor = Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]
"""Materialised columns, as the signature `transform` gives them -> predictions by name."""
_KEPT = Path("assets.extra", "model.keras")


def of_export(directory: ExportDirectory) -> Predictor:
    """The predictor of the model that an export was made from. Raises ArtefactError where that cannot be loaded."""
    if directory.model_card["model"] is None:
        return of_keras(kept_model(directory.path))
    return of_model(ModelDirectory.open(directory.named("model")))


def keep_model(model: keras.Model, version: Path) -> None:
    """Put a user's own model beside its SavedModel. Raises ArtefactError where it cannot be loaded again."""
    model.save(version / _KEPT)
    kept_model(version)


def kept_model(version: Path) -> keras.Model:
    """The model that `keep_model` put there. Raises ArtefactError."""
    path = version / _KEPT
    try:
        return keras.saving.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        raise ArtefactError(f"{path}: cannot be loaded", expected="a model of Keras' own layers, or of registered ones",
                            received=str(error).strip().split("\n")[0]) from None  # fmt: skip


def of_model(model: ModelDirectory) -> Predictor:
    """The predictor of a model directory, whichever trainer made it."""
    network, head = load(model)
    return traced(
        lambda columns: head.predictions(network(columns, training=False)), inputs.signature(model.spec.model_inputs)
    )


def of_keras(model: keras.Model) -> Predictor:
    """The predictor of a user's own Keras model."""
    signature = {one.name: tf.TensorSpec(one.shape, one.dtype, one.name) for one in model.inputs}
    return traced(keras_predict(model), signature)


def keras_predict(model: keras.Model) -> Predict:
    """A Keras model as a function from materialised columns to its outputs, by name."""

    def predict(columns: Mapping[str, Any]) -> dict[str, Any]:
        told = model({one.name: columns[one.name] for one in model.inputs}, training=False)
        named = told if isinstance(told, dict) else dict(zip(model.output_names, keras.tree.flatten(told), strict=True))
        return {name: tf.convert_to_tensor(value) for name, value in named.items()}

    return predict


def traced(predict: Predict, signature: Mapping[str, tf.TensorSpec]) -> Predictor:
    """As a graph for any number of rows, as it is served.

    Eager convolutions are not fused, and a graph for so many rows folds constants: both differ in the last bits.
    """
    alone = apart(predict, signature)
    function = tf.function(lambda columns: alone(columns), input_signature=[dict(signature)]).get_concrete_function()

    def run(rows: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        told = function({name: tf.convert_to_tensor(rows[name], one.dtype) for name, one in signature.items()})
        return {name: value.numpy() for name, value in told.items()}

    return run
