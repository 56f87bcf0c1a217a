"""Raw data as TFRecord of tf.Example."""

import gzip
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfloom
from tests.pipeline.reading import rows, source
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.formats import tfrecord
from tfloom.pipeline.sources import chunks, schema

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
    monkeypatch.setattr("tfloom.pipeline.formats.CHUNK_BYTES", 10_000)
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RECORDS", 2)
    one = source(written(tmp_path / "a", [{"photo": [bytes([255]) * 4_000]}] * 9))
    assert [len(chunk.rows) for chunk in chunks(one)] == [4, 4, 1]


# -- damage -------------------------------------------------------------------------------------------------------

FOUR = [{"x": [i], "name": [b"of %d" % i]} for i in range(4)]
LENGTH = 16 + len(example(FOUR[0]))
"""Of each record, as it is written."""


def damaged(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def read(one):
    """(x of every row, damage) of a file."""
    found = list(chunks(one, at_most=3))
    damages = [(d if d.row is None else replace(d, row=d.row + c.first_row)) for c in found for d in c.damages]
    return [row["x"] for chunk in found for row in chunk.rows.to_pylist()], damages


@pytest.mark.parametrize("at", [12, LENGTH - 5, LENGTH - 1])
def test_a_record_whose_checksum_is_wrong(at, tmp_path):
    path = written(tmp_path / "a", FOUR)
    path.write_bytes(damaged(path.read_bytes(), LENGTH + at))
    xs, (one,) = read(source(path))
    assert xs == [0, None, 2, 3]  # numbered as the records are
    assert (one.row, one.offset, one.reason) == (1, LENGTH, "the checksum of the record is wrong")
    assert "of 1" in one.shown or at == LENGTH - 5
    assert tfrecord.places(str(path), {0, 2}) == ({0: 0, 2: 2 * LENGTH}, {})


@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_what_follows_a_damaged_length_cannot_be_found(compression, tmp_path):
    path = written(tmp_path / "a.tfrecord", FOUR)
    content = damaged(path.read_bytes(), 2 * LENGTH + 3)
    path.write_bytes(gzip.compress(content) if compression else content)
    xs, (one,) = read(source(path))
    assert xs == [0, 1]
    assert (one.row, one.offset, one.reason) == (
        None, 2 * LENGTH,
        f"the length of the record is damaged: no other is found in the {2 * LENGTH} bytes from there on",
    )  # fmt: skip


@pytest.mark.parametrize("left", [1, 11, 12, 20, LENGTH - 1])
def test_a_file_that_ends_amid_a_record(left, tmp_path):
    path = written(tmp_path / "a.tfrecord", FOUR)
    path.write_bytes(path.read_bytes()[: 2 * LENGTH + left])
    xs, (one,) = read(source(path))
    assert xs == [0, 1]
    assert (one.row, one.offset, one.reason) == (None, 2 * LENGTH, "the file ends amid the record")


def test_a_gzip_that_is_cut_off(tmp_path):
    many = [{"x": [i], "name": [b"%d" % (i**7)]} for i in range(5_000)]
    path = written(tmp_path / "a", many, "GZIP")
    whole = gzip.decompress(path.read_bytes())
    path.write_bytes(path.read_bytes()[:-5_000])
    xs, (one,) = read(source(path))
    assert 1_000 < len(xs) < 5_000
    assert xs == list(range(len(xs)))
    assert (one.row, one.reason) == (None, "the gzip stream is cut off: the rest is lost")
    assert one.offset == sum(16 + len(example(row)) for row in many[: len(xs)]) < len(whole)


@pytest.mark.parametrize("run", [1_024, 2])
def test_a_record_that_is_no_example(run, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RECORDS", run)
    one = source(written(tmp_path / "a", [*FOUR[:2], b"no example", *FOUR[2:]]))
    xs, (damage,) = read(one)
    assert xs == [0, 1, None, 2, 3]
    assert (damage.row, damage.offset, damage.reason, damage.shown) == (
        2, 2 * LENGTH, "the record is no tf.Example", "no example"
    )  # fmt: skip


@pytest.mark.parametrize("run", [1_024, 1])
@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([[1], [0.5], []], "double", [1.0, 0.5, None]),
        ([[2**60], [b"a"]], "string", [str(2**60), "a"]),
        ([[b"a"], [0.1], [1.0]], "string", ["a", "0.1", "1"]),
        ([[7], [b"\xff"]], "binary", [b"7", b"\xff"]),
        ([[1, 2], [0.5]], "list<item: double>", [[1.0, 2.0], [0.5]]),
        ([[b"a", b"b"], [], [3]], "list<item: string>", [["a", "b"], None, ["3"]]),
    ],
)
def test_a_feature_of_several_kinds(values, kind, expected, run, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RECORDS", run)
    one = source(written(tmp_path / "a", [{"x": value} for value in values]))
    assert str(schema(one).field("x").type) == kind
    assert [row["x"] for row in rows(one)] == expected


def test_nothing_that_can_be_read(tmp_path):
    path = written(tmp_path / "a.tfrecord", [b"no example", {}])
    with pytest.raises(DataError) as error:
        schema(source(path))
    assert error.value.what == f"{path}: cannot be read"
    assert "TFRecord of tf.Example" in error.value.expected
    assert error.value.received == "none of its 2 records is a whole tf.Example that holds a feature"


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_an_empty_file_has_no_rows(compress, tmp_path):
    path = tmp_path / "a.tfrecord.gz"
    path.write_bytes(compress(b""))
    one = source(path)
    assert (one.format, list(schema(one)), list(chunks(one, ["x"]))) == ("tfrecord", [], [])


def test_large_records_are_decoded_few_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.tfrecord._RUN_BYTES", 10_000)
    path = written(tmp_path / "a", [{"photo": [bytes([255]) * 4_000]}] * 8)
    assert [len(run.records) for run in tfrecord._runs(str(path))] == [3, 3, 2]
    assert len(rows(source(path))) == 8


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
