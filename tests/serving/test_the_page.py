"""The clients that docs/serving.md shows are answered."""

import re
from pathlib import Path

import pytest

from tfloom.serving.server import serve

PAGE = (Path(__file__).parents[2] / "docs/serving.md").read_text()


@pytest.fixture(scope="module")
def server(trained):
    with serve({"flights": trained.export.path}, port=0, grpc_port=0) as server:
        yield server


@pytest.mark.parametrize("client", re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL), ids=["REST", "gRPC"])
def test_a_client_is_answered(client, server, capsys):
    for there, here in (("http://localhost:8501", server.url), ("localhost:8500", server.grpc_url[len("grpc://") :])):
        client = client.replace(there, here)
    exec(client, {})
    (probability,) = re.findall(r"0\.\d+", capsys.readouterr().out)
    assert 0 < float(probability) < 1
