"""TF Serving's gRPC API over exports in this process, beside the REST API: for development, tests and small use.

PredictionService with Predict, Classify, Regress and GetModelMetadata, and GetModelStatus of ModelService, in the
messages of the package tensorflow-serving-api; status codes and words are tensorflow_model_server's. MultiInference is
unimplemented: it wants signatures that share one input tensor, and in a SavedModel of TensorFlow 2 each has its own.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
    regression_pb2,
)

from tfloom.feature_specs.errors import ArtefactError, DataError, nearest
from tfloom.serving import classify_regress
from tfloom.serving.loaded_model import DEFAULT, LoadedModel, NotServedError, find, find_status
from tfloom.serving.signatures import Signature

Models = Mapping[str, LoadedModel]

MESSAGE_OPTIONS = (("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1))
"""Messages of any size, as tensorflow_model_server takes them; gRPC's own limit of 4 MiB is a batch of few pictures."""

_THREADS = 16
_LONGEST = 1_024
"""The bytes of a status message that tensorflow_model_server sends: it travels in a header, of little room."""

_log = logging.getLogger(__name__)


class Server:
    """A gRPC API that answers in the background until it is stopped.

    url: where it listens, such as ``grpc://127.0.0.1:8500``.
    """

    def __init__(self, models: Models, host: str, port: int) -> None:
        # Without so_reuseport two servers could listen on one port, and share its clients by chance.
        options = (*MESSAGE_OPTIONS, ("grpc.so_reuseport", 0))
        self._grpc = grpc.server(ThreadPoolExecutor(_THREADS), options=options)
        self._grpc.add_generic_rpc_handlers(_handlers(dict(models)))
        try:
            port = self._grpc.add_insecure_port(f"{host}:{port}")
        except RuntimeError as error:
            raise ArtefactError(f"{host}:{port}: cannot be listened on", expected="a free port; 0 takes any",
                                received=str(error)) from None  # fmt: skip
        self.url = f"grpc://{host}:{port}"
        self._grpc.start()

    def stop(self) -> None:
        """Stop listening, let requests end that are under way, and free the port."""
        self._grpc.stop(grace=5).wait()


# -- the methods: a request -> its answer -----------------------------------------------------------------------------


def predict(models: Models, request: Any) -> Any:
    """PredictRequest -> PredictResponse, with the outputs that `output_filter` names, or all."""
    model = _model(models, request.model_spec)
    name = request.model_spec.signature_name or DEFAULT
    if name not in model.signatures:
        raise tf.errors.FailedPreconditionError(None, None, f'Serving signature key "{name}" not found.')
    signature = model.signatures[name]
    _check_names(request.inputs, signature)
    wanted = _wanted(list(request.output_filter), signature)
    outputs = model.run(name, {key: _array(key, proto) for key, proto in request.inputs.items()})
    response = predict_pb2.PredictResponse(model_spec=_spec(model, name))
    for key in wanted or outputs:
        response.outputs[key].CopyFrom(tf.make_tensor_proto(outputs[key], signature.outputs[key].dtype))
    return response


def classify(models: Models, request: Any) -> Any:
    """ClassificationRequest -> ClassificationResponse."""
    model = _model(models, request.model_spec)
    name = request.model_spec.signature_name or DEFAULT
    response = classification_pb2.ClassificationResponse(model_spec=_spec(model, name))
    for row in zip(*classify_regress.classify(model, name, _examples(request.input)), strict=True):
        classes = response.result.classifications.add().classes
        for label, score in zip(*row, strict=True):
            classes.add(label=label.decode(errors="replace"), score=score)
    return response


def regress(models: Models, request: Any) -> Any:
    """RegressionRequest -> RegressionResponse."""
    model = _model(models, request.model_spec)
    name = request.model_spec.signature_name or DEFAULT
    response = regression_pb2.RegressionResponse(model_spec=_spec(model, name))
    for value in classify_regress.regress(model, name, _examples(request.input)):
        response.result.regressions.add(value=value)
    return response


def metadata(models: Models, request: Any) -> Any:
    """GetModelMetadataRequest of signature_def -> GetModelMetadataResponse."""
    if not request.metadata_field:
        raise DataError("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != "signature_def":
            raise DataError(f"Metadata field {field} is not supported", expected="signature_def", received=field)
    model = _model(models, request.model_spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=_spec(model, ""))
    told = get_model_metadata_pb2.SignatureDefMap(signature_def=model.definitions)
    response.metadata["signature_def"].Pack(told)
    return response


def status(models: Models, request: Any) -> Any:
    """GetModelStatusRequest -> GetModelStatusResponse."""
    model = _model(models, request.model_spec, find_status)
    response = get_model_status_pb2.GetModelStatusResponse()
    available = get_model_status_pb2.ModelVersionStatus.State.AVAILABLE
    response.model_version_status.add(version=model.version, state=available).status.SetInParent()
    return response


_METHODS: dict[str, dict[str, tuple[Callable[[Models, Any], Any], Any, Any]]] = {
    "tensorflow.serving.PredictionService": {
        "Predict": (predict, predict_pb2.PredictRequest, predict_pb2.PredictResponse),
        "Classify": (classify, classification_pb2.ClassificationRequest, classification_pb2.ClassificationResponse),
        "Regress": (regress, regression_pb2.RegressionRequest, regression_pb2.RegressionResponse),
        "GetModelMetadata": (
            metadata, get_model_metadata_pb2.GetModelMetadataRequest, get_model_metadata_pb2.GetModelMetadataResponse
        ),
    },
    "tensorflow.serving.ModelService": {
        "GetModelStatus": (
            status, get_model_status_pb2.GetModelStatusRequest, get_model_status_pb2.GetModelStatusResponse
        ),
    },
}  # fmt: skip


# -- what they are made of --------------------------------------------------------------------------------------------


def _handlers(models: Models) -> list[grpc.GenericRpcHandler]:
    def handler(method: Callable[[Models, Any], Any], request: Any, response: Any) -> grpc.RpcMethodHandler:
        def answer(asked: Any, context: grpc.ServicerContext) -> Any:
            return _answer(lambda: method(models, asked), context)

        return grpc.unary_unary_rpc_method_handler(answer, request.FromString, response.SerializeToString)

    return [
        grpc.method_handlers_generic_handler(service, {name: handler(*method) for name, method in methods.items()})
        for service, methods in _METHODS.items()
    ]


def _answer(respond: Callable[[], Any], context: grpc.ServicerContext) -> Any:
    try:
        return respond()
    except NotServedError as error:
        code, told = grpc.StatusCode.NOT_FOUND, str(error)
    except DataError as error:
        code, told = grpc.StatusCode.INVALID_ARGUMENT, "; ".join(line.strip() for line in str(error).splitlines())
    except tf.errors.OpError as error:
        code, told = _of_tensorflow(error.error_code), error.message
    except Exception as error:
        _log.exception("gRPC")
        code, told = grpc.StatusCode.INTERNAL, str(error)
    said = told.encode(errors="replace")
    if len(said) > _LONGEST:
        told = said[:_LONGEST].decode(errors="ignore") + "...TRUNCATED"
    return context.abort(code, told)


def _of_tensorflow(code: int) -> grpc.StatusCode:
    """TensorFlow's codes are gRPC's."""
    return next((one for one in grpc.StatusCode if one.value[0] == code), grpc.StatusCode.UNKNOWN)


def _model(models: Models, spec: Any, look_up: Callable[[Models, str, str | None], LoadedModel] = find) -> LoadedModel:
    if not spec.name:
        raise DataError("ModelSpec has no name specified.", expected=nearest("", models), received="''")
    if spec.HasField("version_label"):
        raise DataError(f"Unrecognized servable version label: {spec.version_label}", expected="a version, or none",
                        received=repr(spec.version_label))  # fmt: skip
    return look_up(models, spec.name, str(spec.version.value) if spec.HasField("version") else None)


def _spec(model: LoadedModel, signature_name: str) -> dict[str, Any]:
    """The ModelSpec of an answer."""
    return {"name": model.name, "signature_name": signature_name, "version": {"value": model.version}}


def _check_names(given: Mapping[str, Any], signature: Signature) -> None:
    extra, missing = given.keys() - signature.inputs.keys(), signature.inputs.keys() - given.keys()
    if extra or missing:
        raise DataError(
            f"input size does not match signature: {len(given)}!={len(signature.inputs)} len({_set(given)}) != "
            f"len({_set(signature.inputs)}). Sent extra: {_set(extra)}. Missing but required: {_set(missing)}."
        )


def _wanted(output_filter: list[str], signature: Signature) -> list[str]:
    for name in output_filter:
        if name not in signature.outputs:
            raise DataError(f"output tensor alias not found in signature: {name} Outputs expected to be in the set "
                            f"{_set(signature.outputs)}.")  # fmt: skip
        if output_filter.count(name) > 1:
            raise DataError(f"duplicate output tensor alias: {name}")
    return output_filter


def _set(names: Any) -> str:
    return "{" + ",".join(sorted(names)) + "}"


def _array(name: str, proto: Any) -> np.ndarray:
    try:
        return np.asarray(tf.make_ndarray(proto))
    except (TypeError, ValueError) as error:  # more or fewer values than the shape has, or a dtype that is none
        raise DataError(f"tensor parsing error: {name}", expected="a TensorProto",
                        received=str(error)[:200]) from None  # fmt: skip


def _examples(given: Any) -> np.ndarray:
    """The Input of a request -> serialized tf.Examples, bytes [B], each with the features of the context."""
    kind = given.WhichOneof("kind")
    context = (
        given.example_list_with_context.context.SerializeToString() if kind == "example_list_with_context" else b""
    )
    examples = getattr(given, kind).examples if kind else []
    result = np.empty(len(examples), object)
    result[:] = [context + one.SerializeToString() for one in examples]
    return result
