"""The sides of benchmarks/preprocess.py make the same columns: its ratios compare the same work."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
ROWS = 2_000
NUMBERS = ("distance_z", "temp_z", "dep_time_z")
QUANTILES = ("arr_time_q", "pressure_q")
WORDS = ("carrier", "origin", "dest")
COLUMNS = (*NUMBERS, *QUANTILES, *WORDS, "tailnum", "route", "late")


def flights():
    """The columns that are read and one that is not. No two rows have one distance, by which rows are told apart."""
    rng = np.random.default_rng(5)

    def some_missing(values):
        return pa.array(values, mask=rng.random(ROWS) < 0.1)

    def words(count, exponent):
        return np.char.add("w", (rng.zipf(exponent, ROWS) % count).astype(str))

    return pa.table(
        {
            "distance": rng.permutation(ROWS) + 80,
            "temp": some_missing(rng.normal(55, 18, ROWS).round(2)),
            "sched_dep_time": rng.integers(500, 2359, ROWS),
            "sched_arr_time": rng.integers(1, 2359, ROWS),
            "pressure": some_missing(rng.normal(1017, 7, ROWS).round(1)),
            "carrier": words(16, 1.3),
            "origin": words(3, 1.2),
            "dest": words(100, 1.1),
            "tailnum": some_missing(words(1_000, 1.1)),
            "arr_delay": some_missing(rng.integers(-40, 90, ROWS)),
            "unread": words(5, 1.5),
        }
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """What a side makes of a file, as (suffix, to) say: by column [rows], in the order of distances."""
    folder = tmp_path_factory.mktemp("benchmarks")
    pq.write_table(flights(), folder / "flights.parquet")
    pyarrow.csv.write_csv(flights(), folder / "flights.csv")
    done = {}

    def made(side, suffix, to):
        if (side, suffix, to) not in done:
            out = folder / f"{side} {suffix} {to}"
            out.mkdir()
            run = importlib.import_module(f"benchmarks.preprocess_sides.{side}").run
            arrays = run(folder / f"flights.{suffix}", to, out, "flights")
            if to == "parquet":
                arrays = of_parquet(out)
            elif to != "arrays":
                arrays = of_tfrecord(out)
            assert {len(values) for values in arrays.values()} == {ROWS}
            order = np.argsort(arrays["distance_z"].ravel())
            done[side, suffix, to] = {name: np.ravel(arrays[name])[order] for name in COLUMNS}
        return done[side, suffix, to]

    return made


def of_parquet(folder):
    (table,) = (pq.read_table(path) for path in folder.rglob("*.parquet") if path.parent.name != "stats")
    lists = [name for name in COLUMNS if pa.types.is_nested(table[name].type)]
    return {name: flat(table[name].to_pylist()) if name in lists else table[name].to_numpy() for name in COLUMNS}


def of_tfrecord(folder):
    files = [str(path) for path in folder.rglob("*.tfrecord.gz")]
    (examples,) = tf.data.TFRecordDataset(files, "GZIP").batch(ROWS + 1).as_numpy_iterator()
    kinds = {name: tf.io.RaggedFeature(tf.float32 if name in NUMBERS else tf.int64) for name in COLUMNS}
    return {name: flat(values.to_list()) for name, values in tf.io.parse_example(examples, kinds).items()}


def flat(lists):
    """Of lists of one value or none, -1 where there is none."""
    values = [one[0] if one else -1 for one in lists]
    return np.array(values, np.float32 if any(isinstance(value, float) for value in values) else np.int64)


def test_tf_transform_makes_the_same_bits_of_the_same_batches(made):
    ours, theirs = made("ours", "parquet", "tfrecord"), made("tf_transform", "parquet", "tfrecord by row groups")
    for name in COLUMNS:
        np.testing.assert_array_equal(ours[name], theirs[name], name, strict=True)


@pytest.mark.parametrize(("suffix", "to"), [("parquet", "tfrecord"), ("csv", "tfrecord"), ("csv", "tfrecord by dicts")])
def test_tf_transform_makes_the_same_of_every_file(suffix, to, made):
    ours, theirs = made("ours", suffix, "tfrecord"), made("tf_transform", suffix, to)
    close(ours, theirs)  # the mean of a batch is float32, and these have other batches
    for name in sorted({*COLUMNS} - {*NUMBERS, *QUANTILES}):
        np.testing.assert_array_equal(ours[name], theirs[name], name, strict=True)
    nearly_the_same(ours, theirs, QUANTILES)


def nearly_the_same(ours, theirs, buckets):
    """Boundaries are learned within a thousandth of the rows, or interpolated between two of them."""
    for name in buckets:
        apart = np.abs(ours[name] - theirs[name])
        assert apart.max() <= 1, name
        assert apart.mean() < 0.02, name


def test_ours_makes_the_same_of_every_file_on_every_engine(made):
    ways = [("ours", "csv", "tfrecord"), ("ours", "parquet", "parquet")]
    ways.append(("ours_on_beam", "parquet", "tfrecord on FnApiRunner"))
    expected = made("ours", "parquet", "tfrecord")
    for way in ways:
        for name in COLUMNS:
            np.testing.assert_array_equal(made(*way)[name], expected[name], f"{way}: {name}")


@pytest.mark.parametrize("side", ["with_pandas", "with_polars"])
def test_frames_make_the_same(side, made):
    ours, theirs = made("ours", "parquet", "parquet"), made(side, "parquet", "parquet")
    close(ours, theirs)
    for name in (*WORDS, "late"):
        np.testing.assert_array_equal(ours[name], theirs[name], name)
    nearly_the_same(ours, theirs, QUANTILES)
    hashed_alike(ours, theirs)


def close(ours, theirs):
    for name in NUMBERS:
        np.testing.assert_allclose(theirs[name], ours[name], rtol=1e-5, atol=1e-5, err_msg=name)
        assert theirs[name].dtype == np.float32


def hashed_alike(ours, theirs):
    """By another hash: the same ones missing, about as many ids."""
    for name, buckets in (("tailnum", 4096), ("route", 1000)):
        np.testing.assert_array_equal(theirs[name] < 0, ours[name] < 0, name)
        assert theirs[name].max() < buckets
        assert len(np.unique(theirs[name])) == pytest.approx(len(np.unique(ours[name])), rel=0.1)


def test_scikit_learn_makes_nearly_the_same(made):
    ours, theirs = made("ours", "parquet", "parquet"), made("scikit_learn", "parquet", "parquet")
    close(ours, theirs)
    np.testing.assert_array_equal(ours["late"], theirs["late"])
    nearly_the_same(ours, theirs, ["arr_time_q"])
    hashed_alike(ours, theirs)
    for name in WORDS:
        pairs = {*zip(ours[name].tolist(), theirs[name].tolist(), strict=True)}
        assert len(pairs) == len(np.unique(ours[name])) == len(np.unique(theirs[name])), name


def test_keras_makes_nearly_the_same(made):
    ours, theirs = made("ours", "parquet", "parquet"), made("keras_layers", "parquet", "arrays")
    close(ours, theirs)
    np.testing.assert_array_equal(ours["late"], theirs["late"])
    np.testing.assert_array_equal(ours["route"], theirs["route"])
    known = ours["tailnum"] >= 0
    np.testing.assert_array_equal(ours["tailnum"][known], theirs["tailnum"][known])
    nearly_the_same(ours, theirs, QUANTILES)
    for name in WORDS:
        np.testing.assert_array_equal(ours[name] + 1, theirs[name], name)


def test_a_side_runs_as_a_process_of_its_own(tmp_path):
    pq.write_table(flights(), tmp_path / "flights.parquet")
    side = ["--side", "with_polars", str(tmp_path / "flights.parquet"), "parquet", "flights"]
    command = [sys.executable, f"{BENCHMARKS}/preprocess.py", *side]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    told = json.loads(done.stdout)
    assert told.keys() == {"wall", "cpu", "peak", "imports"}
    assert min(told.values()) > 0
    assert told["peak"] < 1


def test_ratios_are_of_the_same_data_and_the_largest(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    preprocess = importlib.import_module("preprocess")
    seconds = {"ours": 2.0, "tf_transform": 80.0, "with_polars": 0.5, "with_pandas": 3.0, "scikit_learn": 1.0}
    medians = {
        job: {"wall": seconds.get(job.side, 9.0) * (1 if of == "x10" else 7), "peak": 1.6 if of == "x50" else 1.0}
        for of in preprocess.SIZES
        for job in preprocess.jobs(of)
    }
    assert preprocess.targets(medians) == {
        "csv_to_tfrecord_over_tft": (40, ">=", 30),
        "parquet_to_tfrecord_over_tft": (40, ">=", 15),
        "parquet_to_parquet_over_polars": (0.25, ">=", 0.5),
        "parquet_to_parquet_over_pandas": (1.5, ">", 1),
        "parquet_to_parquet_over_sklearn": (0.5, ">", 1),
        "wide_200_columns_over_tft": (40, ">=", 15),
        "peak_memory_gb": (1.6, "<", 1.5),
        "memory_x50_over_x10": (1.6, "<", 1.1),
    }
    alone = {job: of for job, of in medians.items() if job.of == "x1" and job.side != "tf_transform"}
    assert preprocess.targets(alone).keys() == {
        "parquet_to_parquet_over_polars",
        "parquet_to_parquet_over_pandas",
        "parquet_to_parquet_over_sklearn",
        "peak_memory_gb",
    }


def test_what_a_row_costs_is_told_apart_from_what_a_job_does(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    beam = importlib.import_module("beam")
    rows = {of: beam.SIZES[of] for of in ("x1", "x10")}
    once, of_row = {"ours_on_beam": 3.0, "tf_transform": 6.0}, {"ours_on_beam": 3.6e-6, "tf_transform": 36e-6}

    def measured(*sizes):
        jobs = [job for of in sizes for job in (beam.theirs(of), beam.ours("FnApiRunner", of))]
        cpu = {job: once[job.side] + of_row[job.side] * rows[job.of] for job in jobs}
        return {job: {"cpu": cpu[job], "wall": 9.0, "peak": 1.0} for job in jobs}

    both = measured("x1", "x10")
    one, other = beam.ours("FnApiRunner", "x10"), beam.theirs("x10")
    assert beam.vcpu_hours(one, both) == pytest.approx(0.1)
    assert beam.vcpu_hours(other, both) == pytest.approx(1)
    assert beam.derivation(other, both) == (
        "(+127.2 -18.1) CPU s / (+3,367,760 -336,776) rows * 100e6 / 3600 = 1"
    )  # fmt: skip
    assert beam.row(one, both)["runner"] == "FnApiRunner"
    ratio = both[one]["cpu"] / both[other]["cpu"]
    assert beam.targets(both) == {"beam_cpu_seconds_over_tft": (pytest.approx(ratio), "<=", 0.33)}
    alone = measured("x1")
    small = beam.ours("FnApiRunner", "x1")
    assert beam.vcpu_hours(small, alone) == pytest.approx(alone[small]["cpu"] / rows["x1"] * 100e6 / 3600)
