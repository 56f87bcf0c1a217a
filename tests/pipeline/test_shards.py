"""What a chunk leaves behind, and what is made of it."""

import dataclasses
import json
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tfloom.feature_specs.directories import ORIGIN, TransformOutput
from tfloom.feature_specs.errors import ArtefactError
from tfloom.pipeline import shards
from tfloom.pipeline.ingest import Ingested
from tfloom.pipeline.shards import PLACE, collect, place, write_account, write_examples, write_sample
from tfloom.pipeline.sources import Chunk, Source


def chunk(source=0, number=0, count=4):
    rows = pa.RecordBatch.from_pydict({"x": [str(i) for i in range(count)]})
    return Chunk(Source(source, f"/data/{source}.csv", f"{source}.csv", "csv"), number, number * count, rows)


def ingested(of, splits, rejected=()):
    count = len(splits)
    origins = [[f"{of.source.label}:{of.first_row + i}".encode()] for i in range(count)]
    rows = {"x": pa.array([[float(i)] for i in range(count)], pa.list_(pa.float32())),
            ORIGIN: pa.array(origins, pa.list_(pa.binary()))}  # fmt: skip
    account = {"in": count + len(rejected), "out": count, "filtered": 0, "unlabelled": 0, "rejected": len(rejected)}
    return Ingested(
        pa.RecordBatch.from_pydict(rows), np.arange(count), np.array(splits, np.int8), tuple(rejected), Counter(account)
    )


def left(of, done, folder):
    write_account(of, done, str(folder))
    write_sample(of, done, str(folder))


@pytest.fixture
def folder(tmp_path):
    for name in ("examples", "accounts", "rejected"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.mark.parametrize(("source", "number"), [(0, 0), (3, 7), (99_999, 1_000_000), (2**28 - 1, 2**28 - 1)])
def test_a_place_names_the_shard(source, number, folder):
    places = place(np.array([0, 1, 2, 0], np.int8), chunk(source, number))
    rows = pa.RecordBatch.from_pydict({
        "ids": [[1, 2], [], [3], [4]], "x": pa.array([[0.5], [1.5], [2.5], [3.5]], pa.list_(pa.float32())),
        "s": [[b"a"], [b"\xff"], [], [b"d"]],
        PLACE: places,
    })  # fmt: skip
    write_examples(rows, str(folder / "examples"), "both")
    end = f"{source:05d}-{number:05d}"
    expected = {"train": [([1, 2], [0.5], [b"a"]), ([4], [3.5], [b"d"])], "eval": [([], [1.5], [b"\xff"])],
                "test": [([3], [2.5], [])]}  # fmt: skip
    for split, held in expected.items():
        files = tf.data.TFRecordDataset(str(folder / "examples" / f"{split}-{end}.tfrecord.gz"), "GZIP")
        features = [tf.train.Example.FromString(r).features.feature for r in files.as_numpy_iterator()]
        read = [(list(f["ids"].int64_list.value), list(f["x"].float_list.value), list(f["s"].bytes_list.value))
                for f in features]  # fmt: skip
        assert read == held
        table = pq.read_table(folder / "examples" / f"{split}-{end}.parquet")
        assert [tuple(row[name] for name in ("ids", "x", "s")) for row in table.to_pylist()] == held
        assert PLACE not in table.column_names
    assert len(list((folder / "examples").iterdir())) == 6


@pytest.mark.parametrize(
    ("form", "suffixes"), [("tfrecord", {".gz"}), ("parquet", {".parquet"}), ("both", {".gz", ".parquet"})]
)
def test_what_it_is_written_as(form, suffixes, folder):
    rows = pa.RecordBatch.from_pydict({"x": [[1]], PLACE: place(np.zeros(1, np.int8), chunk())})
    write_examples(rows, str(folder / "examples"), form)
    assert {path.suffix for path in (folder / "examples").iterdir()} == suffixes
    if form == "parquet":
        with pytest.raises(ArtefactError, match="tfloom preprocess --examples both"):
            TransformOutput(folder).examples("train")
        column = pq.ParquetFile(*(folder / "examples").iterdir()).metadata.row_group(0).column(0)
        assert column.compression == "ZSTD"


def test_a_retried_shard_is_the_same_bytes_under_the_same_name(folder):
    places = place(np.zeros(50, np.int8), chunk())
    columns = {name: [[i] for i in range(50)] for name in "abcdefgh"}
    rows = pa.RecordBatch.from_pydict(columns | {PLACE: places})
    written = []
    for _ in range(2):
        write_examples(rows, str(folder / "examples"), "tfrecord")
        (file,) = (folder / "examples").iterdir()
        written.append((file.name, file.read_bytes()))
    assert written[0] == written[1]


def test_the_accounts_of_all_chunks_are_summed(folder):
    rejected = {"origin": "0.csv:9", "line": None, "reason": "ü", "row": {"x": "?"}}
    first, second, other = chunk(0, 0), chunk(0, 1), chunk(1, 0)
    left(first, ingested(first, [0, 0, 1, 2], [rejected]), folder)
    left(second, ingested(second, []), folder)
    left(other, ingested(other, [0, 2]), folder)
    report = collect(folder, [first.source, other.source])
    assert report["rows"] == {"in": 7, "out": 6, "filtered": 0, "unlabelled": 0, "rejected": 1}
    assert report["splits"] == {"train": 3, "eval": 1, "test": 2}
    assert report["sources"] == [{"label": "0.csv", "path": "/data/0.csv"}, {"label": "1.csv", "path": "/data/1.csv"}]
    (file,) = (folder / "rejected").iterdir()
    assert (file.name, json.loads(file.read_text())) == ("00000-00000.jsonl", rejected)
    sample = pq.read_table(folder / "stats" / "sample.parquet")
    assert sample.column_names == ["x", ORIGIN, "__split__"]
    assert len(sample) == 6


def sampled(folder, chunks):
    folder.mkdir()
    (folder / "accounts").mkdir()
    for one, done in chunks:
        left(one, done, folder)
    collect(folder, [])
    return [(row[ORIGIN][0], row["__split__"]) for row in pq.read_table(folder / "stats/sample.parquet").to_pylist()]


def test_the_sample_is_the_same_however_rows_are_cut_into_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "SAMPLE_ROWS", 5)
    splits = [i % 3 for i in range(40)]
    whole = [(chunk(count=40), ingested(chunk(count=40), splits))]
    tens = [chunk(number=n, count=10) for n in range(4)]
    cut = [(one, ingested(one, splits[one.first_row : one.first_row + 10])) for one in tens]
    found = sampled(tmp_path / "whole", whole)
    assert sampled(tmp_path / "cut", cut) == found
    assert len(found) == 5
    rows = [int(origin.split(b":")[1]) for origin, _ in found]
    assert [split for _, split in found] == [("train", "eval", "test")[row % 3] for row in rows]
    assert rows != sorted(rows)  # not the first ones


def test_the_sample_is_bounded_in_bytes(tmp_path, monkeypatch):
    """The rows of least rank, as far as 100 bytes go: of x there are 30 in each, of the origins 8 or 9."""
    monkeypatch.setattr(shards, "SAMPLE_BYTES", 100)

    def of(one, splits):
        done = ingested(one, splits)
        pictures = pa.array([[b"x" * 10] * 3] * len(splits), pa.list_(pa.binary()))
        return one, dataclasses.replace(done, rows=done.rows.set_column(0, "x", pictures))

    found = sampled(tmp_path / "whole", [of(chunk(count=40), [0] * 40)])
    assert sampled(tmp_path / "cut", [of(chunk(number=n, count=10), [0] * 10) for n in range(4)]) == found
    assert len(found) == 2
    monkeypatch.setattr(shards, "SAMPLE_BYTES", 1)
    assert sampled(tmp_path / "least", [of(chunk(count=40), [0] * 40)]) == found[:1]


def test_an_account_without_rows_makes_no_sample(folder):
    left(chunk(), ingested(chunk(), []), folder)
    assert collect(folder, [])["rows"]["in"] == 0
    assert not list((folder / "stats").iterdir())
