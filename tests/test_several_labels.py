"""One transform output with several labels, a weight and a key: what is materialised, learned and predicted."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfloom
from tests.cli.conftest import run
from tfloom.feature_specs.directories import ORIGIN, WEIGHT, ExportDirectory, key_feature

SPEC = """\
columns:
- {name: x, kind: numeric}
- {name: town, kind: vocabulary, oov_buckets: 1}
labels:
- {name: late, source: delay, above: 5}
- {name: delay_value, source: delay}
- {name: size, classes: [small, middle, large]}
- {name: answer, positive: yes, missing: keep}
weight: {source: seats, missing: 1}
key: [day, town]
split: {by: column, source: part}
"""
LATE = ["class_ids", "classes", "logistic", "logits", "probabilities"]


def rows():
    numbers = range(60)
    return pa.table(
        {
            "x": [i / 60 for i in numbers],
            "town": ["Oslo" if i % 3 else None if i % 2 else "Bergen" for i in numbers],
            "delay": [float(i * 7 % 13) for i in numbers],
            "size": [("small", "middle", "large")[i % 3] for i in numbers],
            "answer": [None if i % 10 == 4 else "yes" if i % 2 else "no" for i in numbers],
            "seats": [None if i % 5 == 4 else i % 5 for i in numbers],
            "day": [20130101 + i for i in numbers],
            "part": ["eval" if i % 3 == 2 else "train" for i in numbers],
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("several")
    (folder / "spec.yaml").write_text(SPEC)
    pq.write_table(rows(), folder / "rows.parquet")
    said = run("preprocess", folder / "spec.yaml", folder / "rows.parquet", "-o", folder / "transformed")
    assert said.code == 0, said.err
    return folder


def test_what_is_materialised_beside_the_columns(folder):
    table, examples = rows(), folder / "transformed/examples"
    found = 0
    for file in sorted(examples.glob("*.tfrecord.gz")):
        for record in tf.data.TFRecordDataset(str(file), "GZIP"):
            features = tf.train.Example.FromString(record.numpy()).features.feature
            told = {name: [*getattr(of, of.WhichOneof("kind")).value] for name, of in features.items()}
            (origin,) = told.pop(ORIGIN)
            row = table.slice(int(origin.rpartition(b":")[2]), 1).to_pylist()[0]
            assert told.keys() == {
                "x", "town", "late", "delay_value", "size", "answer", WEIGHT, "__key__.day", "__key__.town",
            }  # fmt: skip
            assert told["late"] == [row["delay"] > 5]
            assert told["delay_value"] == [row["delay"]]
            assert told["size"] == [("small", "middle", "large").index(row["size"])]
            assert told["answer"] == [-1 if row["answer"] is None else row["answer"] == "yes"]
            assert told[WEIGHT] == [1 if row["seats"] is None else row["seats"]]
            assert told[key_feature("day")] == [str(row["day"]).encode()]
            assert told[key_feature("town")] == [(row["town"] or "").encode()]
            found += 1
    assert found == 60


@pytest.mark.parametrize(
    ("label", "predictions"),
    [
        ("late", LATE),
        ("delay_value", ["predictions"]),
        ("size", ["class_ids", "classes", "logits", "probabilities"]),
        ("answer", LATE),
    ],
)
def test_each_label_is_learned_of_one_transform_output(folder, tmp_path, label, predictions):
    learn = ["--set", f"label={label}", "--set", "epochs=1", "--set", "backbone=linear"]
    assert run("train", folder / "transformed", "-o", tmp_path / "model", *learn).code == 0
    assert run("export", tmp_path / "model", "-o", tmp_path / "export").code == 0
    verified = run("verify", tmp_path / "export", folder / "rows.parquet", "--transformed", folder / "transformed")
    assert verified.code == 0, verified.out

    # Neither labels, weight nor key are inputs of the served model, and the key stands before the predictions.
    export = ExportDirectory.open(tmp_path / "export")
    assert export.model_card["signatures"]["serving_default"]["inputs"].keys() == {"x", "town"}
    told = tfloom.predict(export, rows())
    assert told.column_names == ["day", "town", *predictions]
    assert told["day"].to_pylist() == rows()["day"].to_pylist()
    without = tfloom.predict(export, rows().select(["x", "town"]))
    assert without.column_names == ["town", *predictions]  # what the data has of the key
    assert tfloom.predict(export, rows(), key=["x"]).column_names == ["x", *predictions]
    assert tfloom.predict(export, rows(), key=[]).column_names == predictions
    np.testing.assert_array_equal(without[predictions[-1]].to_pylist(), told[predictions[-1]].to_pylist())


def test_a_label_has_to_be_chosen(folder, tmp_path):
    said = run("train", folder / "transformed", "-o", tmp_path / "model")
    assert said.code == 2
    assert "labels: not exactly one" in " ".join(said.err.split())


def test_the_key_is_shown_as_it_is(folder, tmp_path):
    learn = ["--set", "label=late", "--set", "epochs=1", "--set", "backbone=linear"]
    assert run("train", folder / "transformed", "-o", tmp_path / "model", *learn).code == 0
    assert run("export", tmp_path / "model", "-o", tmp_path / "export").code == 0
    said = run("predict", tmp_path / "export", folder / "rows.parquet", "--rows", "2")
    header, first, second = said.lines
    assert header.split()[:2] == ["day", "town"]
    assert (first.split()[0], second.split()[:2]) == ("20130101", ["20130102", "Oslo"])
