"""Classify and Regress: what TF Serving makes of tf.Examples beside Predict, whichever API asks for it."""

from __future__ import annotations

import numpy as np

from tfloom.feature_specs.errors import DataError
from tfloom.serving.loaded_model import LoadedModel

_METHOD = "tensorflow/serving/"


def classify(model: LoadedModel, signature_name: str, examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Labels and scores of the classes, in the order of the signature.

    Args:
      examples: serialized tf.Examples, bytes [B].

    Returns:
      (labels, scores): bytes [B, C], '' where the signature gives none; float32 [B, C].

    Raises:
      DataError: there is no example, or the signature is not there or of another method.
    """
    outputs = _run(model, signature_name, "classify", "classification", examples)
    scores = outputs.get("scores", np.zeros(outputs.get("classes", examples).shape, np.float32))
    return outputs.get("classes", np.full(scores.shape, b"", object)), scores


def regress(model: LoadedModel, signature_name: str, examples: np.ndarray) -> np.ndarray:
    """A number for each example, float32 [B]. Raises DataError as `classify` does."""
    return _run(model, signature_name, "regress", "regression", examples)["outputs"].reshape(len(examples))


def _run(
    model: LoadedModel, signature_name: str, method: str, called: str, examples: np.ndarray
) -> dict[str, np.ndarray]:
    if signature_name not in model.signatures:
        raise DataError(f"No signature was found with the name: {signature_name}",
                        expected=_of_method(model, method), received=repr(signature_name))  # fmt: skip
    found = model.definitions[signature_name].method_name
    if found != _METHOD + method:
        raise DataError(f"Expected {called} signature method_name to be {_METHOD + method}. Was: {found}",
                        expected=_of_method(model, method), received=repr(signature_name))  # fmt: skip
    if not len(examples):
        raise DataError("Input is empty.", expected="an example or more", received="none")
    return model.run(signature_name, {"inputs": examples})


def _of_method(model: LoadedModel, method: str) -> str:
    names = [name for name in model.signatures if model.definitions[name].method_name == _METHOD + method]
    return f"a signature_name that can {method}: {', '.join(names) or '(there are none)'}"
