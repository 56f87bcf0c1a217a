"""The REST API answers as tensorflow_model_server does."""

import http.client
import json
import urllib.error
import urllib.request

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving import client, rest
from tfloom.serving.server import serve

ROW = {"distance": 1.5, "the.tags": ["a", "x"], "the.tags_length": 2, "stops": 0, "stops_length": 0,
       "photo": {"b64": "/9g="}}  # fmt: skip


@pytest.fixture(scope="module")
def server(made):
    with serve({"flights": made.export.path.parent}, port=0) as server:
        yield server


@pytest.fixture(scope="module")
def url(server):
    return f"{server.url}/v1/models/flights"


def ask(url, body=None):
    """(status, answer)."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, data), timeout=30)
    except urllib.error.HTTPError as error:
        response = error
    with response:
        assert response.headers["Content-Type"] == "application/json"
        return response.status, json.load(response)


def columns(*rows):
    return {name: [row[name] for row in rows] for name in rows[0]}


def test_status_and_metadata(url):
    status = {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert ask(url) == (200, {"model_version_status": [status]})
    assert ask(f"{url}/versions/3") == ask(url)
    code, told = ask(f"{url}/metadata")
    assert (code, told["model_spec"]) == (200, {"name": "flights", "signature_name": "", "version": "3"})
    definitions = told["metadata"]["signature_def"]["signature_def"]
    assert definitions["dtypes"]["method_name"] == "tensorflow/serving/predict"
    dims = [{"size": "-1", "name": ""}, {"size": "2", "name": ""}]
    pair = {"dtype": "DT_INT32", "tensor_shape": {"dim": dims, "unknown_rank": False}, "name": "dtypes_pair:0"}
    assert definitions["dtypes"]["inputs"]["pair"] == pair


def test_the_row_format(url, made):
    rows = [ROW, ROW | {"distance": float("nan"), "the.tags": ["", "c"], "photo": "text"}]
    code, answer = ask(f"{url}:predict", {"instances": rows})
    assert (code, list(answer)) == (200, ["predictions"])
    expected = made.module.predict({
        "distance": tf.constant([[1.5], [0.0]]), "tags": tf.constant([[0, -1], [-1, 2]], tf.int64)
    })  # fmt: skip
    assert [row["logits"] for row in answer["predictions"]] == [
        [pytest.approx(x)] for (x,) in expected["logits"].numpy()
    ]
    assert answer["predictions"][0].keys() == {"class_ids", "classes", "logistic", "logits", "probabilities"}
    assert answer["predictions"][1]["classes"] == ["1"]
    assert (
        np.float32(answer["predictions"][0]["probabilities"]).tolist() == expected["probabilities"][0].numpy().tolist()
    )


def test_the_columnar_format(url):
    _, by_row = ask(f"{url}/versions/3:predict", {"instances": [ROW, ROW], "signature_name": "serving_default"})
    code, answer = ask(f"{url}:predict", {"inputs": columns(ROW, ROW), "signature_name": ""})
    assert (code, list(answer)) == (200, ["outputs"])
    assert answer["outputs"] == columns(*by_row["predictions"])


def test_a_single_input_and_output_needs_no_name(url):
    values = ["text", {"b64": "/9g="}]
    as_bytes = [{"b64": "dGV4dA=="}, {"b64": "/9g="}]
    for instances in (values, [{"photo": value} for value in values]):
        assert ask(f"{url}:predict", {"signature_name": "photo", "instances": instances}) == (
            200,
            {"predictions": as_bytes},
        )
    for inputs in (values, {"photo": values}):
        assert ask(f"{url}:predict", {"signature_name": "photo", "inputs": inputs}) == (200, {"outputs": as_bytes})


def test_every_dtype(url):
    inputs = {"flag": [True], "pair": [[1, 2]], "scale": 0.5}
    code, answer = ask(f"{url}:predict", {"signature_name": "dtypes", "inputs": inputs})
    assert code == 200
    assert answer["outputs"] == {"flag": [False], "pair": [[2, 3]], "scale": 1.0, "text": [["1", "2"]]}
    code, answer = ask(
        f"{url}:predict", {"signature_name": "dtypes", "instances": [{**inputs, "flag": True, "pair": [1, 2]}]}
    )
    assert (code, answer["error"]) == (400, "scale: is of another shape; expected: []; received: [1]")


def without(name):
    return {key: value for key, value in columns(ROW).items() if key != name}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "JSON Parse error: The document is empty"),
        (b"{", "JSON Parse error: "),
        (b"\xff", "JSON Parse error: "),
        (b"[" * 100_000, "JSON Parse error: "),
        ([], "request: is not an object"),
        ({}, "Missing 'inputs' or 'instances' key"),
        ({"inputs": [], "instances": []}, "only one of 'inputs' or 'instances'"),
        ({"instances": []}, "instances: is not a list of rows"),
        ({"instances": [ROW, 1]}, "instances: row 1 is not an object"),
        ({"instances": [ROW, {"distance": 1.0}]}, "instances: row 1: Missing named input: photo"),
        ({"instances": [1.0]}, "instances is a plain list, but the signature has 6 inputs"),
        ({"inputs": [1.0]}, "inputs is a plain value or list, but the signature has 6 inputs"),
        ({"inputs": {}, "signature_name": "x"}, 'Serving signature name: "x" not found in signature def'),
        ({"inputs": {}, "signature_name": 1}, "'signature_name' key must be a string value."),
        ({"inputs": without("photo")}, "inputs: Missing named input: photo"),
        ({"inputs": columns(ROW | {"more": 1})}, "inputs: does not have named input: more"),
        ({"inputs": columns(ROW | {"distance": "far"})}, "distance: value 0 is not float32; expected: float32"),
        ({"inputs": columns(ROW | {"distance": [1.0]})}, "distance: is of another shape; expected: [None]"),
        ({"inputs": columns(ROW | {"the.tags": []}, ROW)}, "the.tags: is ragged at depth 1"),
        ({"instances": ["no example"], "signature_name": "serving_examples"}, "Could not parse example input"),
        ({"instances": [{"b64": "/w=="}], "signature_name": "serving_examples"}, "Could not parse example input"),
    ],
)  # fmt: skip
def test_a_bad_request_is_told_what_is_wrong(url, body, told):
    code, answer = ask(f"{url}:predict", body)
    assert (code, list(answer)) == (400, ["error"])
    assert told in answer["error"]


def test_what_is_not_there(server, url):
    body = {"instances": [ROW]}
    other = f"{server.url}/v1/models/other"
    assert ask(f"{other}:predict", body) == (404, {"error": "Servable not found for request: Latest(other)"})
    assert ask(f"{url}/versions/2:predict", body) == (
        404,
        {"error": "Servable not found for request: Specific(flights, 2)"},
    )
    assert ask(other) == (404, {"error": "Could not find any versions of model other"})
    assert ask(f"{url}/versions/2") == (404, {"error": "Could not find version 2 of model flights"})
    assert ask(f"{other}/metadata")[0] == 404
    assert ask(f"{server.url}/v2") == (400, {"error": "Malformed request: GET /v2"})
    assert ask(f"{url}:guess", body) == (400, {"error": "Malformed request: POST /v1/models/flights:guess"})


def test_http(server, monkeypatch):
    connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=30)
    path = "/v1/models/flights:predict"
    for _ in range(2):  # on one connection
        connection.request("POST", path, json.dumps({"instances": [ROW]}))
        response = connection.getresponse()
        assert (response.status, len(json.load(response)["predictions"])) == (200, 1)
    connection.request("PUT", path)
    response = connection.getresponse()
    assert (response.status, json.load(response)) == (501, {"error": "Unsupported method ('PUT')"})
    monkeypatch.setattr(rest, "MAX_BODY", 10)
    for size, code in (("", 411), ("11", 413)):
        connection.putrequest("POST", path)
        connection.putheader("Content-Length", size)
        connection.endheaders()
        response = connection.getresponse()
        assert (response.status, response.headers["Connection"]) == (code, "close")
        connection.close()


def test_a_failure_of_ours_is_a_500(server, url, monkeypatch):
    monkeypatch.setattr("tfloom.serving.loaded_model.LoadedModel.run", lambda *_: 1 / 0)
    assert ask(f"{url}:predict", {"instances": [ROW]}) == (500, {"error": "division by zero"})


def test_serving_starts_and_stops(made, tmp_path):
    server = serve({"one": made.export.path}, port=0)
    port = int(server.url.rpartition(":")[2])
    with pytest.raises(ArtefactError, match=f"127.0.0.1:{port}: cannot be listened on"):
        serve({}, port=port)
    server.stop()
    server.wait()
    with pytest.raises(ArtefactError, match="there is no such folder"):
        serve({"one": tmp_path / "nothing"}, port=0)
    with pytest.raises(ArtefactError, match=r"no answer\n  expected: a running TF Serving REST API"):
        client.predict(f"{server.url}/v1/models/one", {})


def test_the_client(url, made):
    inputs = columns(ROW) | {"distance": np.float32([1.5]), "photo": np.array([b"\xff\xd8", None], object)[:1]}
    outputs = client.predict(url, inputs)
    assert outputs == ask(f"{url}:predict", {"inputs": columns(ROW)})[1]["outputs"]
    assert client.predict(url, {"photo": ["text"]}, "photo") == {"photo_bytes": [{"b64": "dGV4dA=="}]}


def test_what_the_client_is_refused(server, url):
    with pytest.raises(DataError, match=r":predict: refused\n  expected: .*\n  received: inputs: Missing named input"):
        client.predict(url, {})
    with pytest.raises(ArtefactError, match=r"answered 404\n.*\n  received: Servable not found for request: Latest"):
        client.predict(f"{server.url}/v1/models/other", {})
    with pytest.raises(ArtefactError, match="no answer"):
        client.predict("nothing://x", {})
