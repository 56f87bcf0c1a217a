"""A client of TF Serving's gRPC API, whoever serves it: tensorflow_model_server or `tfloom serve`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving.rpc import MESSAGE_OPTIONS

_URL = re.compile(r"grpc://(?P<address>[^/]+)/(?P<name>[^/]+)(?:/versions/(?P<version>\d{1,18}))?/?")


def predict(
    url: str, inputs: Mapping[str, np.ndarray], signature_name: str = "serving_default", timeout: float = 60
) -> dict[str, np.ndarray]:
    """Ask a model for predictions.

    Args:
      url: of the model, such as ``grpc://localhost:8500/flights``, or ``grpc://localhost:8500/flights/versions/3``.
      inputs: by name, batch first; strings as arrays of bytes, dtype object.
      timeout: seconds.

    Returns:
      The outputs by name.

    Raises:
      DataError: `url` is none of a model, or the server refuses the inputs and says why.
      ArtefactError: nothing answers at `url`, or nothing that serves this model.
    """
    match = _URL.fullmatch(url)
    if match is None:
        raise DataError(f"{url}: is no address of a model", expected="one such as grpc://localhost:8500/flights",
                        received=url)  # fmt: skip
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = match["name"], signature_name
    if match["version"]:
        request.model_spec.version.value = int(match["version"])
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    with grpc.insecure_channel(match["address"], options=MESSAGE_OPTIONS) as channel:
        try:
            response = prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            raise _refused(url, error) from None
    return {name: tf.make_ndarray(proto) for name, proto in sorted(response.outputs.items())}


def _refused(url: str, error: Any) -> DataError | ArtefactError:
    code, told = error.code(), error.details() or ""
    if code == grpc.StatusCode.INVALID_ARGUMENT:
        return DataError(f"{url}: refused", expected="inputs as the signature has them", received=told)
    if code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
        return ArtefactError(f"{url}: no answer", expected="a running TF Serving gRPC API, such as of `tfloom serve`",
                             received=told)  # fmt: skip
    return ArtefactError(f"{url}: answered {code.name}", expected="a model that is served there", received=told)
