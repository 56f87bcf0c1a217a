"""`tfloom serve` answers as TF Serving would, under the export's name or another."""

import json
import socket
import urllib.request

import numpy as np
import pytest

from tfloom.feature_specs.errors import ArtefactError
from tfloom.serving import rpc_client
from tfloom.serving.server import Server


@pytest.mark.parametrize(("options", "name"), [([], "export"), (["--name", "people"], "people")])
def test_a_request_is_answered(tfloom, monkeypatch, options, name):
    answers = []

    def wait(server):
        url = f"{server.url}/v1/models/{name}:predict"
        body = json.dumps({"instances": [{"age-now": 21, "home_town": "Oslo"}]}).encode()
        with urllib.request.urlopen(urllib.request.Request(url, body)) as answer:
            answers.append((url, json.load(answer)))

    monkeypatch.setattr(Server, "wait", wait)
    said = tfloom("serve", "export", "--port", "0", *options)
    ((url, answer),) = answers
    assert said.code == 0
    assert said.lines == [f"serving: {url.removesuffix(':predict')}"]
    assert answer["predictions"][0].keys() == {"class_ids", "classes", "logistic", "logits", "probabilities"}
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(url)  # it has stopped


def test_grpc_beside_it(tfloom, monkeypatch):
    answers = []

    def wait(server):
        inputs = {"age-now": np.float32([21]), "home_town": np.array([b"Oslo", None], object)[:1]}
        answers.append((server.grpc_url, rpc_client.predict(f"{server.grpc_url}/people", inputs)))

    monkeypatch.setattr(Server, "wait", wait)
    said = tfloom("serve", "export", "--name", "people", "--port", "0", "--grpc-port", "0")
    ((url, answer),) = answers
    assert (said.code, said.lines[1:]) == (0, [f"serving: {url}/people"])
    assert answer.keys() == {"class_ids", "classes", "logistic", "logits", "probabilities"}
    with pytest.raises(ArtefactError, match="no answer"):
        rpc_client.predict(f"{url}/people", {})  # it has stopped


def test_a_port_that_is_taken(refused):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        what, expected, received = refused("serve", "export", "--port", port)
    assert what == f"127.0.0.1:{port}: cannot be listened on"
    assert expected == "a free port; 0 takes any"
    assert "in use" in received


@pytest.mark.parametrize(("path", "what"), [("model", "is not an export"), ("nothing", "there is no such folder")])
def test_what_is_no_export(refused, path, what):
    expected = "an export, as `tfloom export` writes it, with saved_model.pb"
    assert refused("serve", path)[:2] == (f"{path}: {what}", expected)
