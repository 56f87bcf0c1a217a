"""Raw data as TFRecord of tf.Example."""

import gzip

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.sources import chunks, find, schema

PNG = b"\x89PNG\r\n\x1a\n"
ROWS = [
    {"age": [31], "score": [0.5], "name": [b"ann"], "tags": [b"a", b"b"], "photo": [PNG], "none": []},
    {"age": [2**62], "score": [], "name": ["Üçé".encode()], "tags": [b""], "none": []},
    {"name": [b""], "tags": [], "photo": [b""], "later": [7]},
]
READ = [
    {"age": 31, "score": 0.5, "name": "ann", "tags": ["a", "b"], "photo": PNG, "none": None, "later": None},
    {"age": 2**62, "score": None, "name": "Üçé", "tags": [""], "photo": None, "none": None, "later": None},
    {"age": None, "score": None, "name": "", "tags": None, "photo": b"", "none": None, "later": 7},
]


def example(row):
    features = tf.train.Features()
    for name, values in row.items():
        feature = features.feature[name]
        if values and isinstance(values[0], bytes):
            feature.bytes_list.value.extend(values)
        elif values and isinstance(values[0], float):
            feature.float_list.value.extend(values)
        elif values:
            feature.int64_list.value.extend(values)
    return tf.train.Example(features=features).SerializeToString()


def written(path, rows, compression=""):
    with tf.io.TFRecordWriter(str(path), compression) as writer:
        for row in rows:
            writer.write(row if isinstance(row, bytes) else example(row))
    return path


def source(path):
    (one,) = find({None: path}, path.parent / "staging")
    return one


def rows(one, **options):
    return [row for chunk in chunks(one, **options) for row in chunk.rows.to_pylist()]


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_what_no_record_has_more_of_than_one_is_a_value(compression, tmp_path):
    one = source(written(tmp_path / "a", ROWS, compression))
    assert one.format == "tfrecord"
    kinds = dict(zip(schema(one).names, map(str, schema(one).types), strict=True))
    assert kinds == {
        "age": "int64", "score": "float", "name": "string", "tags": "list<item: string>", "photo": "binary",
        "none": "string", "later": "int64",
    }  # fmt: skip
    assert [{name: row[name] for name in kinds} for row in rows(one)] == [
        {name: row[name] for name in kinds} for row in READ
    ]


def test_only_the_columns_that_are_wanted(tmp_path):
    assert rows(source(written(tmp_path / "a", ROWS)), columns=["later", "age"]) == [
        {"later": row["later"], "age": row["age"]} for row in READ
    ]


def test_chunks_do_not_depend_on_how_records_are_read(tmp_path, monkeypatch):
    many = [{"x": [i]} for i in range(2_500)]
    one = source(written(tmp_path / "a", many))
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RECORDS", 7)
    found = list(chunks(one, at_most=1_000))
    assert [(chunk.number, chunk.first_row, len(chunk.rows)) for chunk in found] == [
        (0, 0, 1_000), (1, 1_000, 1_000), (2, 2_000, 500)
    ]  # fmt: skip
    assert [row["x"] for row in rows(one)] == list(range(2_500))


def test_large_records_make_smaller_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord.CHUNK_BYTES", 10_000)
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RECORDS", 2)
    one = source(written(tmp_path / "a", [{"photo": [bytes([255]) * 4_000]}] * 9))
    assert [len(chunk.rows) for chunk in chunks(one)] == [4, 4, 1]


def damaged(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize(
    ("spoil", "received"),
    [
        (lambda content: damaged(content, len(content) - 8), "corrupted record"),
        (lambda content: content[:-3], "truncated record"),
    ],
    ids=["crc", "truncated"],
)
def test_a_damaged_file(spoil, received, tmp_path):
    path = written(tmp_path / "a", ROWS)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(DataError, match=received) as error:
        rows(source(path))
    assert error.value.what == f"{path}: cannot be read"
    assert "TFRecord of tf.Example" in error.value.expected


def test_a_truncated_gzip(tmp_path):
    path = written(tmp_path / "a", [{"x": [i]} for i in range(5_000)], "GZIP")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read"):
        rows(source(path))


@pytest.mark.parametrize(
    ("records", "received"),
    [
        ([{"x": [1]}, {"x": [0.5]}], "type"),
        ([b"no example"], "record 1"),
    ],
)
def test_records_that_are_not_alike(records, received, tmp_path):
    with pytest.raises(DataError, match=received):
        schema(source(written(tmp_path / "a", records)))


def test_types_that_differ_far_apart(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RECORDS", 1)
    with pytest.raises(DataError, match="the feature 'x' is int64 in some records and float in others"):
        schema(source(written(tmp_path / "a", [{"x": [1]}, {"x": [0.5]}])))


def test_gzip_of_something_else_is_csv(tmp_path):
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\nx,1\n"))
    assert rows(source(path)) == [{"a": "x", "b": "1"}]


def test_materialised_as_from_parquet(tmp_path):
    spec = FeatureSpec.model_validate({
        "columns": [
            {"name": "age", "kind": "numeric", "missing": 0.0},
            {"name": "name", "kind": "vocabulary"},
            {"name": "tags", "kind": "hashed", "buckets": 10},
            {"name": "both", "kind": "crossed", "of": ["name", "tags"], "buckets": 50},
        ],
        "labels": [{"name": "late", "above": 15}],
        "split": {"by": "column", "source": "part"},
    })  # fmt: skip
    drawn = [
        {"age": [i] if i % 3 else [], "name": [b"ant", b"bee", b"ant"][i % 3 : i % 3 + 1], "part": [b"train"]}
        | {"tags": [b"x", b"y", b"x"][: i % 4], "late": [i]}
        for i in range(40)
    ]
    table = pa.table({
        "age": [(row["age"] or [None])[0] for row in drawn],
        "name": [row["name"][0].decode() for row in drawn],
        "part": ["train"] * len(drawn),
        "late": [row["late"][0] for row in drawn],
        "tags": [[tag.decode() for tag in row["tags"]] for row in drawn],
    })  # fmt: skip
    path = written(tmp_path / "rows.tfrecord", drawn)
    batches = [
        next(iter(tfloom.dataset(tfloom.preprocess(spec, data, tmp_path / name), "train", 40)))
        for name, data in (("from_tfrecord", path), ("from_table", table))
    ]
    (features, labels), (others, other_labels) = batches
    assert features.keys() == others.keys() == {"age", "both"}
    for name, value in features.items():
        np.testing.assert_array_equal(value, others[name], err_msg=name)
    np.testing.assert_array_equal(labels, other_labels)
