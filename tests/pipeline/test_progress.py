"""What a run tells of how far it has come."""

import bz2
import gzip

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import progress
from tfloom.pipeline.preprocess import preprocess
from tfloom.pipeline.sources import Source

SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "x", "kind": "numeric", "scale": "z_score"},
        {"name": "bin", "kind": "bucketized", "source": "x", "quantiles": 4},
        {"name": "pair", "kind": "crossed", "of": ["bin", {"input": "word"}], "collision_free": True},
    ],
    "split": {"by": "column", "source": "part"},
})  # fmt: skip


@pytest.mark.parametrize("threads", [1, 3])
def test_every_phase_and_every_row(threads, tmp_path, monkeypatch):
    """Of 90 rows, 30 of the split test, which nothing is learned from and which are gone through all the same."""
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 20)
    rows = pa.table({
        "x": np.arange(90.0), "word": ["a", "b", "c"] * 30, "part": ["train", "train", "test"] * 30
    })  # fmt: skip
    told = []
    preprocess(SPEC, {None: rows}, tmp_path / "out", threads=threads, report=lambda *one: told.append(one))
    steps = [0, 20, 40, 60, 80, 90]
    phases = ["reading", "learning", "learning, pass 2", "transforming"]
    assert told == [(phase, done, 90) for phase in phases for done in steps]


def test_no_more_is_done_than_there_is():
    told = []
    add = progress.phase(lambda *one: told.append(one), "reading", 25)
    for rows in (10, 10, 10):
        add(rows)
    assert told == [("reading", 0, 25), ("reading", 10, 25), ("reading", 20, 25), ("reading", 30, 30)]
    progress.phase(None, "reading", None)(10)


def lines(count):
    rng = np.random.default_rng(0)
    return b"a,b\n" + b"".join(b"%d,%d\n" % pair for pair in map(tuple, rng.integers(10**6, size=(count, 2)).tolist()))


def about(path, format_):
    return progress.about([Source(0, str(path), path.name, format_)])


@pytest.mark.parametrize(("name", "compressed"), [("x.csv", bytes), ("x.csv.gz", gzip.compress), ("x", bz2.compress)])
def test_about_how_many_rows_a_text_has(name, compressed, tmp_path):
    some = lines(1_000)
    for times, error in ((800, 0.3), (1, 0.001)):  # 11 MB, and all of it in the sample
        (tmp_path / name).write_bytes(compressed(some * times))
        assert about(tmp_path / name, "csv") == pytest.approx(1_001 * times, rel=error)
    (tmp_path / name).write_bytes(compressed(b""))
    assert about(tmp_path / name, "csv") == 0


def test_parquet_says_how_many_rows_it_has(tmp_path):
    pq.write_table(pa.table({"a": range(1234)}), tmp_path / "a.parquet")
    assert about(tmp_path / "a.parquet", "parquet") == 1234


def test_of_records_nobody_knows(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"a": range(3)}), path)
    sources = [Source(0, str(path), "a.parquet", "parquet"), Source(1, "b.tfrecord", "b.tfrecord", "tfrecord")]
    assert progress.about(sources) is None
