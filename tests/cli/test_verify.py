"""`tfloom verify` counts what differs, and exits with 1 where anything does."""

import json
import shutil

import pytest
import tensorflow as tf


def test_nothing_differs(succeeds, way):
    *table, last = succeeds("verify", "export", "people.csv")
    assert last == "117 rows verified, 0 mismatches"
    assert table[0] == "what compared differing"
    assert [line.split()[-1] for line in table[1:]] == ["0", "0"]
    assert json.loads((way.folder / "export" / "1" / "verify.json").read_text())["rows"] == 117


def test_so_many_rows(succeeds):
    assert succeeds("verify", "export", "people.csv", "--rows", "10")[-1] == "10 rows verified, 0 mismatches"


def test_a_mismatch_exits_with_1(tfloom, way, tmp_path):
    """The first row of train, which is row 1, was materialised with another town: Bergen is 1, Molde 2."""
    shutil.copytree(way.folder / "transformed", tmp_path / "transformed")
    (shard,) = (tmp_path / "transformed" / "examples").glob("train-*.tfrecord.gz")
    records = list(tf.data.TFRecordDataset(str(shard), "GZIP").as_numpy_iterator())
    first = tf.train.Example.FromString(records[0])
    assert first.features.feature["town"].int64_list.value == [1]
    first.features.feature["town"].int64_list.value[:] = [2]
    with tf.io.TFRecordWriter(str(shard), "GZIP") as writer:
        for record in (first.SerializeToString(), *records[1:]):
            writer.write(record)
    said = tfloom("verify", "export", "people.csv", "--transformed", tmp_path / "transformed")
    assert said.code == 1
    assert said.err.strip() == ""
    assert "transformed values: people.csv:1: town is 1, not 2 (transform, batches of 1,000)" in said.lines
    assert said.lines[-1].startswith("117 rows verified, ")
    assert not said.lines[-1].endswith(" 0 mismatches")


def test_data_that_was_not_preprocessed(refused, way, tmp_path):
    shutil.copy(way.folder / "people.csv", tmp_path / "others.csv")
    assert refused("verify", "export", tmp_path / "others.csv") == (
        f"{tmp_path / 'others.csv'}: is none of the files that transformed was made from", "people.csv", "others.csv"
    )  # fmt: skip


def test_data_that_lacks_a_column(refused, write):
    path = write("no_town.csv")
    assert refused("verify", "export", path)[0] == f"{path}: has no column 'home town', which columns.town reads"


@pytest.mark.parametrize(
    ("arguments", "what", "expected"),
    [
        (["model"], "model: is not an export", "an export, as `tfloom export` writes it, with saved_model.pb"),
        (["export", "--transformed", "model"], "model: is not a transform output",
         "a transform output, as `tfloom preprocess` writes it, with report.json"),
        (["export", "--url", "http://127.0.0.1:9/v1/models/people"],
         "http://127.0.0.1:9/v1/models/people:predict: no answer",
         "a running TF Serving REST API, such as of `tfloom serve`"),
        (["export", "--url", "grpc://127.0.0.1:9/people"], "grpc://127.0.0.1:9/people: no answer",
         "a running TF Serving gRPC API, such as of `tfloom serve`"),
    ],
)  # fmt: skip
def test_what_cannot_be_verified(refused, arguments, what, expected):
    export, *options = arguments
    assert refused("verify", export, "people.csv", *options)[:2] == (what, expected)
