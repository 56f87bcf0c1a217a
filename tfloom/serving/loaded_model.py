"""A model in service, whichever API asks for it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.tensor_json import shape_text
from tfloom.serving import signatures
from tfloom.serving.signatures import TensorInfo

DEFAULT = "serving_default"
"""The signature of a request that names none."""


class NotServedError(LookupError):
    """There is no such model, or no such version of it; the message is TF Serving's."""


class LoadedModel:
    """One version of a model, loaded.

    signatures: what it can be asked; definitions: the same as SignatureDef protos, all that the SavedModel has.
    """

    def __init__(self, name: str, path: Path) -> None:
        """Load the newest version in `path`. Raises ArtefactError where there is none."""
        import tensorflow as tf

        export = ExportDirectory.open(path)
        self.name = name
        self.version = int(export.path.name) if export.path.name.isdigit() else 1
        self.signatures = signatures.read(export.path)
        self.definitions = signatures.protos(export.path)
        self._loaded = tf.saved_model.load(str(export.path))

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Call a signature with each of its inputs; outputs by name, in the order of the names.

        Raises:
          DataError: an input is of another dtype or shape than the signature has it, or TensorFlow quotes bytes of it.
          tf.errors.OpError: any other error of TensorFlow's, in the words of the op.
        """
        import tensorflow as tf

        infos = self.signatures[signature_name].inputs
        tensors = {
            name: tf.constant(_fitting(name, array, infos[name]), infos[name].dtype) for name, array in inputs.items()
        }
        try:
            outputs = self._loaded.signatures[signature_name](**tensors)
        except UnicodeDecodeError as error:  # TensorFlow's Python cannot make an error of such a message
            raise DataError(_said(error.object.decode(errors="replace"))) from None
        except tf.errors.OpError as error:
            raise type(error)(None, None, _said(error.message)) from None
        return {name: outputs[name].numpy() for name in sorted(outputs)}


def _said(message: str) -> str:
    """What an op said, without what TensorFlow's Python puts around it: where in which graph that was."""
    message = message.rpartition("<stack traces unavailable>\n")[2].rpartition(" [Op:")[0] or message
    return re.sub(r"\{\{function_node \S+\}\} ?", "", message)


def find(models: Mapping[str, LoadedModel], name: str, version: str | None) -> LoadedModel:
    """The model of this name, of this version where one is asked for. Raises NotServedError."""
    found = models.get(name)
    if found is None or version not in (None, str(found.version)):
        asked = f"Specific({name}, {version})" if version else f"Latest({name})"
        raise NotServedError(f"Servable not found for request: {asked}")
    return found


def find_status(models: Mapping[str, LoadedModel], name: str, version: str | None) -> LoadedModel:
    """The same for those who ask for the status alone, whom TF Serving tells so in other words."""
    try:
        return find(models, name, version)
    except NotServedError:
        what = f"version {version}" if version else "any versions"
        raise NotServedError(f"Could not find {what} of model {name}") from None


def _fitting(name: str, array: np.ndarray, info: TensorInfo) -> np.ndarray:
    dtype = "string" if array.dtype == object else array.dtype.name
    if dtype != info.dtype:
        raise DataError(f"{name}: is of another dtype", expected=info.dtype, received=dtype)
    if not info.fits(array.shape):
        raise DataError(f"{name}: is of another shape", expected=shape_text(info.shape),
                        received=shape_text(array.shape))  # fmt: skip
    return array
