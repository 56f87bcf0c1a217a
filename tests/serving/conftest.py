"""A small export and the transform output it claims to come from, made by hand: no trainer, no pipeline."""

import base64
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs.directories import ORIGIN, ExportDirectory, TransformOutput, write_json

SPEC = {
    "version": 1,
    "inputs": {
        "distance": {"dtype": "float32", "optional": True},
        "the.tags": {"dtype": "string", "multi_valued": True},
        "stops": {"dtype": "int64", "optional": True},
        "photo": {"dtype": "bytes"},
    },
    "columns": [
        {"name": "distance", "kind": "numeric", "missing": 0.0},
        {"name": "tags", "kind": "vocabulary", "source": "the.tags", "vocabulary": ["a", "b", "c"]},
        {"name": "stops", "kind": "identity", "buckets": 4},
        {"name": "photo", "kind": "image", "height": 1, "width": 1},
    ],
    "labels": [{"name": "late", "above": 15}],
}
ROWS = 23
WORDS = [["a"], ["c", "b"], [], ["x", "a", "x"], ["b"]]


class Servable(tf.Module):
    """tags are looked up in a table that an initializer fills, weights are variables: a server must restore both."""

    def __init__(self):
        super().__init__()
        entries = tf.lookup.KeyValueTensorInitializer(["a", "b", "c"], tf.range(3, dtype=tf.int64))
        self.table = tf.lookup.StaticHashTable(entries, -1)
        self.embedding = tf.Variable([[0.25], [-1.5], [0.7]])
        self.weight = tf.Variable([[0.013]])

    def transform(self, distance, tags, stops, photo):
        """Scalars as [B] or ragged, as the inputs are."""
        ids = tags.with_flat_values(self.table.lookup(tags.flat_values))
        return {
            "distance": tf.where(tf.math.is_nan(distance), 0.0, distance)[:, None],
            "tags": ids.to_tensor(-1),
            "stops": stops.to_tensor(-1),
            "photo": photo,
        }

    @tf.function
    def predict(self, columns):
        ids = columns["tags"]
        found = tf.gather(self.embedding, tf.maximum(ids, 0)) * tf.cast(ids >= 0, tf.float32)[..., None]
        logits = columns["distance"] @ self.weight + tf.reduce_sum(found, 1)
        logistic = tf.sigmoid(logits)
        class_ids = tf.cast(logits > 0, tf.int64)
        return {
            "logits": logits,
            "logistic": logistic,
            "probabilities": tf.concat([1 - logistic, logistic], 1),
            "class_ids": class_ids,
            "classes": tf.as_string(class_ids),
        }

    def parse(self, examples):
        kinds = {"distance": tf.float32, "the.tags": tf.string, "stops": tf.int64}
        features = {name: tf.io.RaggedFeature(dtype) for name, dtype in kinds.items()}
        parsed = tf.io.parse_example(examples, features | {"photo": tf.io.FixedLenFeature([], tf.string)})
        distance = parsed["distance"].to_tensor(np.nan, shape=[None, 1])[:, 0]
        return self.transform(distance, parsed["the.tags"], parsed["stops"], parsed["photo"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def transform_examples(self, examples):
        return self.parse(examples)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serving_examples(self, examples):
        return self.predict(self.parse(examples))

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, "distance"),
            tf.TensorSpec([None, None], tf.string, "the.tags"),
            tf.TensorSpec([None], tf.int64, "the.tags_length"),
            tf.TensorSpec([None], tf.int64, "stops"),
            tf.TensorSpec([None], tf.int64, "stops_length"),
            tf.TensorSpec([None], tf.string, "photo"),
        ]
    )
    def serving_default(self, distance, tags, tags_length, stops, stops_length, photo):
        ragged = tf.RaggedTensor.from_tensor
        return self.predict(
            self.transform(distance, ragged(tags, tags_length), ragged(stops[:, None], stops_length), photo)
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "photo")])
    def photo_bytes(self, photo):
        return {"photo_bytes": photo}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.bool, "flag"),
            tf.TensorSpec([None, 2], tf.int32, "pair"),
            tf.TensorSpec([], tf.float64, "scale"),
        ]
    )
    def dtypes(self, flag, pair, scale):
        return {"flag": ~flag, "pair": pair + 1, "scale": scale * 2, "text": tf.as_string(pair)}


def parsed_rows():
    """Rows as the pipeline parses them: list columns; every fifth distance and fourth stops missing."""
    numbers = range(ROWS)
    columns = {
        "distance": pa.array([[] if i % 5 == 4 else [i * 10.25] for i in numbers], pa.list_(pa.float32())),
        "the.tags": pa.array([WORDS[i % 5] for i in numbers], pa.list_(pa.binary())),
        "stops": pa.array([[] if i % 4 == 3 else [i % 3] for i in numbers], pa.list_(pa.int64())),
        "photo": pa.array([[bytes([i, 255])] for i in numbers], pa.list_(pa.binary())),
        "late": pa.array([[i % 2] for i in numbers], pa.list_(pa.int64())),
        ORIGIN: pa.array([[f"rows.csv:{i}".encode()] for i in numbers], pa.list_(pa.binary())),
    }
    return pa.RecordBatch.from_pydict(columns)


def write_shards(folder: Path, rows: pa.RecordBatch):
    """What preprocessing would have made of the rows: two splits of one chunk, one of another."""
    (folder / "examples").mkdir()
    shards = {
        "train-00000-00000": range(12),
        "eval-00000-00000": range(12, 15),
        "train-00000-00001": range(15, ROWS),
    }
    values = rows.to_pydict()
    vocabulary = {"a": 0, "b": 1, "c": 2}
    for name, of in shards.items():
        with tf.io.TFRecordWriter(str(folder / "examples" / f"{name}.tfrecord.gz"), "GZIP") as writer:
            for i in of:
                example = tf.train.Example()
                feature = example.features.feature
                feature["distance"].float_list.value[:] = values["distance"][i] or [0.0]
                feature["tags"].int64_list.value[:] = [vocabulary.get(t.decode(), -1) for t in values["the.tags"][i]]
                feature["stops"].int64_list.value[:] = values["stops"][i]
                feature["photo"].bytes_list.value[:] = values["photo"][i]
                feature["late"].int64_list.value[:] = values["late"][i]
                feature[ORIGIN].bytes_list.value[:] = values[ORIGIN][i]
                writer.write(example.SerializeToString())


@dataclass(frozen=True)
class Made:
    """export and transformed: the directories; module: what was exported; rows: parsed rows of chunk 0 and 1."""

    export: ExportDirectory
    transformed: TransformOutput
    module: Servable
    rows: pa.RecordBatch

    @property
    def parsed(self):
        return [(0, 0, self.rows.slice(0, 15)), (0, 1, self.rows.slice(15))]

    def predict(self, columns):
        return {k: v.numpy() for k, v in self.module.predict({k: tf.constant(v) for k, v in columns.items()}).items()}


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    rows = parsed_rows()
    transformed = folder / "transformed"
    (transformed / "transform_fn").mkdir(parents=True)
    (transformed / "transform_fn" / "saved_model.pb").touch()
    write_json(transformed / "feature_spec.json", SPEC)
    write_json(transformed / "report.json", {"sources": [{"label": "rows.csv", "path": "rows.csv"}]})
    write_shards(transformed, rows)

    module, version = Servable(), folder / "model" / "3"
    signatures = {
        "serving_default": module.serving_default,
        "serving_examples": module.serving_examples,
        "transform": module.transform_examples,
        "photo": module.photo_bytes,
        "dtypes": module.dtypes,
    }
    tf.saved_model.save(module, str(version), signatures=signatures)
    write_json(version / "feature_spec.json", SPEC)
    (version / "golden").mkdir()
    write_golden(version, module)
    return Made(ExportDirectory.open(folder / "model"), TransformOutput.open(transformed), module, rows)


def write_golden(version: Path, module: Servable):
    """By TensorFlow's Python, in words written out here: not by the code under test."""
    inputs = {
        "distance": [1.5, float("nan")],
        "the.tags": [[{"b64": "YQ=="}, {"b64": "eA=="}], [{"b64": "Yg=="}, {"b64": ""}]],
        "the.tags_length": [2, 1],
        "stops": [0, 3],
        "stops_length": [0, 1],
        "photo": [{"b64": "/9g="}, {"b64": "AA=="}],
    }
    columns = {
        "distance": tf.constant([[1.5], [0.0]]),
        "tags": tf.constant([[0, -1], [1, -1]], tf.int64),
    }
    outputs = {k: v.numpy().tolist() for k, v in module.predict(columns).items()}
    outputs["classes"] = [[{"b64": base64.b64encode(v).decode()} for v in row] for row in outputs["classes"]]
    golden = {"signature_name": "serving_default", "inputs": inputs, "outputs": outputs}
    write_json(version / "golden" / "serving_default.json", golden)
    example = tf.train.Example()
    example.features.feature["distance"].float_list.value[:] = [0.1]
    example.features.feature["the.tags"].bytes_list.value[:] = [b"c"]
    example.features.feature["photo"].bytes_list.value[:] = [b"\x01"]
    golden = {
        "signature_name": "transform",
        "inputs": {"examples": [{"b64": base64.b64encode(example.SerializeToString()).decode()}]},
        "outputs": {"distance": [[0.1]], "tags": [[2]], "stops": [[]], "photo": [{"b64": "AQ=="}]},
    }
    write_json(version / "golden" / "transform.json", golden)


@pytest.fixture
def copied(made, tmp_path):
    """The same, to be tampered with."""
    shutil.copytree(made.export.path, tmp_path / "model" / "3")
    shutil.copytree(made.transformed.path, tmp_path / "transformed")
    return Made(
        ExportDirectory.open(tmp_path / "model"), TransformOutput.open(tmp_path / "transformed"), made.module, made.rows
    )
