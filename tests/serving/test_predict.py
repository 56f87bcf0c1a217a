"""Predictions as a file."""

import json

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving import predict

TABLE = pa.table({"id": [7, 8], "logits": [0.25, None], "probabilities": [[0.5, 0.25], None], "classes": [["no"], []]})


def test_a_parquet_file_is_the_table(tmp_path):
    predict.write(TABLE, tmp_path / "of/scores.parquet")
    assert pq.read_table(tmp_path / "of/scores.parquet").equals(TABLE)


def test_a_list_is_json_in_a_csv_file(tmp_path):
    predict.write(TABLE, tmp_path / "scores.csv")
    rows = pyarrow.csv.read_csv(tmp_path / "scores.csv").to_pylist()
    assert [(row["id"], row["logits"]) for row in rows] == [(7, 0.25), (8, None)]
    assert [row["probabilities"] for row in rows] == ["[0.5, 0.25]", ""]
    assert [json.loads(row["classes"]) for row in rows] == [["no"], []]


@pytest.mark.parametrize("name", ["scores.xlsx", "scores"])
def test_another_format_is_refused(tmp_path, name):
    with pytest.raises(DataError, match=r"is of no format that can be written\n  expected: .*\.parquet or \.csv"):
        predict.write(TABLE, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written(tmp_path):
    (tmp_path / "scores.csv").mkdir()
    with pytest.raises(ArtefactError, match=r"scores\.csv: cannot be written"):
        predict.write(TABLE, tmp_path / "scores.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["scores.csv"]
