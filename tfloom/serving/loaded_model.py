"""A model in service: what tensorflow_model_server makes of a request body, in its words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.errors import DataError, nearest
from tfloom.serving import signatures
from tfloom.serving.signatures import Signature


class LoadedModel:
    """One version of a model, loaded."""

    def __init__(self, name: str, path: Path) -> None:
        """Load the newest version in `path`. Raises ArtefactError where there is none."""
        import tensorflow as tf

        export = ExportDirectory.open(path)
        self.name = name
        self.version = int(export.path.name) if export.path.name.isdigit() else 1
        self.signatures = signatures.read(export.path)
        self._protos = signatures.protos(export.path)
        self._loaded = tf.saved_model.load(str(export.path))

    def predict(self, request: Any) -> dict[str, Any]:
        """The body of a request -> the body of the answer, in the format of the request.

        Raises DataError where the body fits no signature.
        """
        if not isinstance(request, dict):
            raise DataError("request: is not an object", expected='{"instances": [...]} or {"inputs": {...}}',
                            received=repr(request)[:80])  # fmt: skip
        name = request.get("signature_name", "")
        name = "serving_default" if name == "" else name
        if not isinstance(name, str) or name not in self.signatures:
            raise DataError(f'Serving signature name: "{name}" not found in signature def',
                            expected=nearest(str(name), self.signatures), received=repr(name)[:80])  # fmt: skip
        signature = self.signatures[name]
        if "instances" in request and "inputs" in request:
            raise DataError("request: not formatted correctly", expected="only one of 'inputs' or 'instances'",
                            received="both")  # fmt: skip
        if "instances" in request:
            outputs = self.run(name, _decoded(_columns(request["instances"], signature), signature))
            return {"predictions": _rows(outputs)}
        if "inputs" in request:
            outputs = self.run(name, _decoded(_named(request["inputs"], signature), signature))
            encoded = {key: _encoded(key, tensor) for key, tensor in outputs.items()}
            return {"outputs": encoded if len(encoded) > 1 else next(iter(encoded.values()))}
        raise DataError("Missing 'inputs' or 'instances' key", expected="one of them", received=", ".join(request))

    def run(self, signature_name: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Call a signature; outputs by name, in the order of the names."""
        import tensorflow as tf

        infos = self.signatures[signature_name].inputs
        tensors = {name: tf.constant(array, infos[name].dtype) for name, array in inputs.items()}
        outputs = self._loaded.signatures[signature_name](**tensors)
        return {name: outputs[name].numpy() for name in sorted(outputs)}

    def status(self) -> dict[str, Any]:
        """GetModelStatusResponse, as JSON."""
        status = {"error_code": "OK", "error_message": ""}
        return {"model_version_status": [{"version": str(self.version), "state": "AVAILABLE", "status": status}]}

    def metadata(self) -> dict[str, Any]:
        """GetModelMetadataResponse with its signature_def, as JSON."""
        from google.protobuf import json_format  # type: ignore[import-untyped]

        told = {
            name: json_format.MessageToDict(
                proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
            )
            for name, proto in sorted(self._protos.items())
        }
        return {
            "model_spec": {"name": self.name, "signature_name": "", "version": str(self.version)},
            "metadata": {"signature_def": {"signature_def": told}},
        }


def _columns(instances: Any, signature: Signature) -> dict[str, Any]:
    """The row format -> columns: rows are objects of one value an input, or the values themselves of the only one."""
    if not isinstance(instances, list) or not instances:
        raise DataError("instances: is not a list of rows", expected="a list of at least one",
                        received=repr(instances)[:80])  # fmt: skip
    if not _is_object(instances[0]):
        only = _only(signature, "instances is a plain list")
        if any(_is_object(row) for row in instances):
            raise DataError("instances: holds objects and values", expected="one or the other", received="both")
        return {only: instances}
    for at, row in enumerate(instances):
        if not _is_object(row):
            raise DataError(f"instances: row {at} is not an object", expected="objects, as the first is",
                            received=repr(row)[:80])  # fmt: skip
        _check_names(row, signature, f"instances: row {at}")
    return {name: [row[name] for row in instances] for name in signature.inputs}


def _named(inputs: Any, signature: Signature) -> Mapping[str, Any]:
    """The columnar format: an object of inputs, or the value itself of the only one."""
    if not _is_object(inputs):
        return {_only(signature, "inputs is a plain value or list"): inputs}
    _check_names(inputs, signature, "inputs")
    return dict(inputs)


def _decoded(columns: Mapping[str, Any], signature: Signature) -> dict[str, np.ndarray]:
    return {
        name: tensor_json.decode(columns[name], info.dtype, info.shape, name) for name, info in signature.inputs.items()
    }


def _is_object(value: Any) -> bool:
    """Whether it is an object of names, and not bytes."""
    return isinstance(value, dict) and not (value.keys() == {"b64"} and isinstance(value["b64"], str))


def _only(signature: Signature, what: str) -> str:
    if len(signature.inputs) != 1:
        raise DataError(f"{what}, but the signature has {len(signature.inputs)} inputs",
                        expected=f"an object of {', '.join(signature.inputs)}", received="no names")  # fmt: skip
    return next(iter(signature.inputs))


def _check_names(given: Mapping[str, Any], signature: Signature, where: str) -> None:
    for name in signature.inputs:
        if name not in given:
            raise DataError(f"{where}: Missing named input: {name}", expected=", ".join(signature.inputs),
                            received=", ".join(given) or "none")  # fmt: skip
    for name in given:
        if name not in signature.inputs:
            raise DataError(f"{where}: does not have named input: {name}", expected=nearest(name, signature.inputs),
                            received=repr(name))  # fmt: skip


def _encoded(name: str, tensor: np.ndarray) -> Any:
    return tensor_json.encode(tensor, binary=name.endswith("_bytes"))


def _rows(outputs: Mapping[str, np.ndarray]) -> list[Any]:
    """Outputs in the row format: objects of one value an output, or the values themselves of the only one."""
    sizes = {name: tensor.shape[:1] for name, tensor in outputs.items()}
    if len(set(sizes.values())) != 1 or () in sizes.values():
        raise DataError("instances: the outputs are not one for each row, ask in the columnar format",
                        expected="outputs of one batch size",
                        received=", ".join(f"{name} {list(size)}" for name, size in sizes.items()))  # fmt: skip
    columns = {name: _encoded(name, tensor) for name, tensor in outputs.items()}
    if len(columns) == 1:
        return list(next(iter(columns.values())))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
