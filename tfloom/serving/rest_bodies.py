"""What tensorflow_model_server makes of the body of a REST request, in its words; docs of TF Serving: "RESTful API"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.errors import DataError, nearest
from tfloom.serving import classify_regress, json_examples
from tfloom.serving.loaded_model import DEFAULT, LoadedModel
from tfloom.serving.signatures import Signature


def predict(model: LoadedModel, request: Any) -> dict[str, Any]:
    """The body of a predict request -> the body of the answer, in the format of the request.

    Raises DataError where the body fits no signature.
    """
    name = _signature_name(request, '{"instances": [...]} or {"inputs": {...}}')
    if name not in model.signatures:
        raise DataError(f'Serving signature name: "{name}" not found in signature def',
                        expected=nearest(name, model.signatures), received=repr(name)[:80])  # fmt: skip
    signature = model.signatures[name]
    if "instances" in request and "inputs" in request:
        raise DataError("request: not formatted correctly", expected="only one of 'inputs' or 'instances'",
                        received="both")  # fmt: skip
    if "instances" in request:
        outputs = model.run(name, _decoded(_columns(request["instances"], signature), signature))
        return {"predictions": _rows(outputs)}
    if "inputs" in request:
        outputs = model.run(name, _decoded(_named(request["inputs"], signature), signature))
        encoded = {key: _encoded(key, tensor) for key, tensor in outputs.items()}
        return {"outputs": encoded if len(encoded) > 1 else next(iter(encoded.values()))}
    raise DataError("Missing 'inputs' or 'instances' key", expected="one of them", received=", ".join(request))


def classify(model: LoadedModel, request: Any) -> dict[str, Any]:
    """The body of a classify request -> for each of its examples [label, score] by class.

    Raises DataError where the body or the signature is not of this kind.
    """
    name = _signature_name(request, '{"examples": [...]}')
    labels, scores = classify_regress.classify(model, name, json_examples.serialized(request))
    pairs = zip(tensor_json.encode(labels), tensor_json.encode(scores), strict=True)
    return {"results": [[list(pair) for pair in zip(*row, strict=True)] for row in pairs]}


def regress(model: LoadedModel, request: Any) -> dict[str, Any]:
    """The body of a regress request -> a number for each of its examples. Raises DataError as `classify` does."""
    name = _signature_name(request, '{"examples": [...]}')
    return {"results": tensor_json.encode(classify_regress.regress(model, name, json_examples.serialized(request)))}


def status(model: LoadedModel) -> dict[str, Any]:
    """GetModelStatusResponse, as JSON."""
    health = {"error_code": "OK", "error_message": ""}
    return {"model_version_status": [{"version": str(model.version), "state": "AVAILABLE", "status": health}]}


def metadata(model: LoadedModel) -> dict[str, Any]:
    """GetModelMetadataResponse with its signature_def, as JSON."""
    from google.protobuf import json_format  # type: ignore[import-untyped]

    told = {
        name: json_format.MessageToDict(
            proto, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
        )
        for name, proto in sorted(model.definitions.items())
    }
    return {
        "model_spec": {"name": model.name, "signature_name": "", "version": str(model.version)},
        "metadata": {"signature_def": {"signature_def": told}},
    }


def _signature_name(request: Any, expected: str) -> str:
    if not isinstance(request, dict):
        raise DataError("request: is not an object", expected=expected, received=repr(request)[:80])
    name = request.get("signature_name", "")
    if not isinstance(name, str):
        raise DataError("request: 'signature_name' key must be a string value.", expected="a string",
                        received=repr(name)[:80])  # fmt: skip
    return name or DEFAULT


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
