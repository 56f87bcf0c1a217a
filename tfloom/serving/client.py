"""A client of TF Serving's REST API, whoever serves it: tensorflow_model_server or `tfloom serve`."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import numpy as np

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.errors import ArtefactError, DataError


def predict(
    url: str, inputs: Mapping[str, Any], signature_name: str = "serving_default", timeout: float = 60
) -> dict[str, Any]:
    """Ask a model for predictions.

    Args:
      url: of the model, such as ``http://localhost:8501/v1/models/flights``, or of a version of it.
      inputs: by name numpy arrays (strings as arrays of bytes, dtype object) or nested lists, batch first.
      timeout: seconds.

    Returns:
      The outputs by name, nested lists as `tensor_json.decode` reads them; also where there is only one, whose name TF
      Serving leaves out.

    Raises:
      DataError: the server refuses the inputs, and says why.
      ArtefactError: nothing answers at `url`, or nothing that serves this model.
    """
    columns = {
        name: tensor_json.encode(value) if isinstance(value, np.ndarray) else value for name, value in inputs.items()
    }
    url = url.rstrip("/")
    answer = _ask(f"{url}:predict", timeout, {"signature_name": signature_name, "inputs": columns})
    outputs = answer.get("outputs")
    if isinstance(outputs, dict) and outputs.keys() != {"b64"}:
        return outputs
    return {_only_output(url, signature_name, timeout): outputs}


def _only_output(url: str, signature_name: str, timeout: float) -> str:
    metadata = _ask(f"{url}/metadata", timeout)
    try:
        (name,) = metadata["metadata"]["signature_def"]["signature_def"][signature_name]["outputs"]
    except (KeyError, TypeError, ValueError):
        told = json.dumps(metadata)[:200]
        raise ArtefactError(f"{url}: does not tell the outputs of {signature_name!r}",
                            expected="TF Serving's metadata", received=told) from None  # fmt: skip
    return str(name)


def _ask(url: str, timeout: float, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """POST a body, or GET without one."""
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=timeout) as response:
            answer = json.load(response)
    except urllib.error.HTTPError as error:
        raise _refused(url, error) from None
    except (OSError, http.client.HTTPException) as error:  # URLError and TimeoutError among them
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise ArtefactError(f"{url}: no answer", expected="a running TF Serving REST API, such as of `tfloom serve`",
                            received=reason) from None  # fmt: skip
    except ValueError as error:
        raise _strange(url, str(error)) from None
    if not isinstance(answer, dict):
        raise _strange(url, json.dumps(answer)[:200])
    return answer


def _refused(url: str, error: urllib.error.HTTPError) -> DataError | ArtefactError:
    with error:
        text = error.read().decode(errors="replace")
    try:
        told = str(json.loads(text)["error"])
    except (ValueError, KeyError, TypeError):
        told = text[:200]
    if error.code in (400, 413):
        return DataError(f"{url}: refused", expected="inputs as the signature has them", received=told)
    return ArtefactError(f"{url}: answered {error.code}", expected="a model that is served there", received=told)


def _strange(url: str, received: str) -> ArtefactError:
    return ArtefactError(f"{url}: answers in no way known", expected="TF Serving's REST API", received=received)
