"""Real pictures from Parquet to a server that is asked with a PNG file in base64."""

import base64
import json
import urllib.request
from pathlib import Path

import pyarrow.parquet as pq
import pytest

import tfloom
from tfloom.data.digits import write_digits

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_digits_from_parquet_to_a_server(tmp_path):
    data = write_digits(tmp_path)
    output = tfloom.preprocess(EXAMPLES / "digits.yaml", data, tmp_path / "transformed")
    model = tfloom.train(output, tmp_path / "model", EXAMPLES / "digits_train.yaml")
    assert tfloom.evaluate(model)["accuracy"] > 0.97
    export = tfloom.export(model, tmp_path / "export")
    verified = tfloom.verify(export, data)
    assert (verified.rows, verified.transformed.differing, verified.predictions.differing) == (1797, 0, 0)

    rows = pq.read_table(data).slice(0, 100)
    instances = [{"image": {"b64": base64.b64encode(png).decode()}} for png in rows["image"].to_pylist()]
    with tfloom.serve({"digits": export}, port=0) as server:
        request = urllib.request.Request(
            f"{server.url}/v1/models/digits:predict", json.dumps({"instances": instances}).encode()
        )
        with urllib.request.urlopen(request) as answer:
            told = [row["class_ids"][0] for row in json.load(answer)["predictions"]]
    assert told == tfloom.predict(export, rows)["class_ids"].to_pylist()
    assert sum(a == b for a, b in zip(told, rows["digit"].to_pylist(), strict=True)) > 97
