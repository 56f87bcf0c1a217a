"""Whole tables scored by a job on Beam: what `predict` says in this process, and what a server answers."""

import json
import urllib.request
from collections import Counter

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfloom
from tests.conftest import flights
from tfloom.feature_specs.directories import ORIGIN
from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError

RUNNER = ["--runner=FnApiRunner"]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Two files of 2,600 and 120 rows, three of which cannot be scored."""
    folder = tmp_path_factory.mktemp("data")
    many = pa.concat_tables([flights()] * 22).slice(0, 2_600)
    many = many.append_column("id", pa.array(range(2_600)))
    pq.write_table(many, folder / "a.parquet")
    few = flights().append_column("id", pa.array(range(3_000, 3_120)))
    distances = [str(value) for value in few.column("distance").to_pylist()]
    for row in (0, 60, 119):
        distances[row] = "far"
    pyarrow.csv.write_csv(few.set_column(0, "distance", pa.array(distances)), folder / "b.csv")
    return [str(folder / "a.parquet"), str(folder / "b.csv")]


@pytest.fixture(scope="module", autouse=True)
def several_chunks():
    """Of more than a thousand rows, which is what the model is given at once, and of fewer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 1_100)
        yield


@pytest.fixture(scope="module")
def loads():
    """Counts how often a SavedModel is loaded."""
    load, times = tf.saved_model.load, Counter()

    def counted(path, *args, **options):
        times["in all"] += 1
        return load(path, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tf.saved_model, "load", counted)
        yield times


@pytest.fixture(scope="module")
def scored(trained, data, tmp_path_factory, loads):
    out = tmp_path_factory.mktemp("scored") / "out"
    told = tfloom.score(trained.export, data, out, RUNNER, key=["id", "carrier"])
    return out, told, loads["in all"]


def shards(out):
    return {path.name: pq.read_table(path) for path in sorted((out / "predictions").iterdir())}


def files(out):
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()}


def test_it_is_what_predict_says(trained, data, scored):
    """Values and keys, bit for bit, in the order of the data."""
    out, _, _ = scored
    for number, path in enumerate(data):
        there = pa.concat_tables(table for name, table in shards(out).items() if name.startswith(f"{number:05d}-"))
        here = tfloom.predict(trained.export, path, key=["id", "carrier"])
        if "rejected" in here.column_names:
            here = here.filter(pa.compute.is_null(here.column("rejected"))).drop_columns(["rejected"])
        assert there.drop_columns([ORIGIN]).cast(here.schema).equals(here)
    assert list(shards(out)) == ["00000-00000.parquet", "00000-00001.parquet", "00000-00002.parquet",
                                 "00001-00000.parquet"]  # fmt: skip


def test_a_row_says_where_it_came_from(scored):
    out, _, _ = scored
    table = shards(out)["00001-00000.parquet"]
    assert table.column(ORIGIN).to_pylist() == [f"b.csv:{i}" for i in range(120) if i not in (0, 60, 119)]
    assert table.column("id").to_pylist() == [str(3_000 + i) for i in range(120) if i not in (0, 60, 119)]


def test_it_is_what_a_server_answers(trained, scored):
    out, _, _ = scored
    predicted = shards(out)["00000-00000.parquet"].slice(0, 20).to_pylist()
    rows = [{**row, "tags": row["tags"].split("|") if row["tags"] else []} for row in flights().to_pylist()[:20]]
    instances = [
        {"distance": float("nan") if row["distance"] is None else row["distance"], "carrier": row["carrier"],
         "tags": row["tags"] + [""] * (3 - len(row["tags"])), "tags_length": len(row["tags"]),
         "stops": row["stops"] or 0, "stops_length": int(row["stops"] is not None)}
        for row in rows
    ]  # fmt: skip
    with tfloom.serve(trained.export, port=0) as server:
        url = f"{server.url}/v1/models/export:predict"
        request = urllib.request.Request(url, json.dumps({"instances": instances}).encode())
        with urllib.request.urlopen(request, timeout=60) as answer:
            answers = json.load(answer)["predictions"]
    assert len(answers) == 20
    for row, one in zip(predicted, answers, strict=True):
        assert set(one) == set(row) - {"id", "carrier", ORIGIN}
        np.testing.assert_allclose(np.float32(one["probabilities"]), np.float32(row["probabilities"]), rtol=1e-6)
        np.testing.assert_allclose(np.float32(one["logits"]), np.float32(row["logits"]), rtol=1e-6)
        assert one["class_ids"] in (row["class_ids"], [row["class_ids"]])


def test_rejected_rows_are_kept_and_counted(scored):
    out, told, _ = scored
    assert told["rows"] == {"in": 2_720, "out": 2_717, "rejected": 3}
    assert json.loads((out / "report.json").read_text()) == told
    (file,) = (out / "rejected").iterdir()
    kept = [json.loads(line) for line in file.read_text().splitlines()]
    assert [(row["origin"], row["line"], row["column"], row["reason"]) for row in kept] == [
        (f"b.csv:{i}", i + 2, "distance", "distance: 'far' is no float32") for i in (0, 60, 119)
    ]
    assert [row["row"]["id"] for row in kept] == ["3000", "3060", "3119"]
    assert told["reasons"] == {"distance: 'far' is no float32": 3}
    assert sorted(path.name for path in out.iterdir()) == ["predictions", "rejected", "report.json"]


def test_the_model_is_loaded_once(scored):
    assert scored[2] == 1


def test_a_bundle_that_runs_twice(trained, data, scored, tmp_path):
    tfloom.score(trained.export, data, tmp_path / "out", [*RUNNER, "--direct_runner_bundle_repeat=1"],
                 key=["id", "carrier"])  # fmt: skip
    assert files(tmp_path / "out") == files(scored[0])


def test_an_output_that_is_there_is_refused_before_anything_runs(trained, data, tmp_path, loads):
    (tmp_path / "out").mkdir()
    before = loads["in all"]
    with pytest.raises(ArtefactError, match="out: is there already\n  expected: a new path, or --overwrite"):
        tfloom.score(trained.export, data, tmp_path / "out", RUNNER)
    assert loads["in all"] == before
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize(
    ("options", "key", "error", "what"),
    [
        (["--runner=SparkleRunner"], None, SpecError, "--runner: 'SparkleRunner' is none that we run on"),
        ([*RUNNER, "--num_worker=3"], None, SpecError, "--num_worker: is no option of Beam"),
        (["--num_workers=3"], None, SpecError, "--runner: is missing"),
        (RUNNER, ["idd"], DataError, "a.parquet: has no column 'idd'"),
    ],
)
def test_what_is_refused_leaves_nothing(trained, data, tmp_path, options, key, error, what):
    with pytest.raises(error, match=what):
        tfloom.score(trained.export, data, tmp_path / "out", options, key=key)
    assert list(tmp_path.iterdir()) == []


def test_a_table_without_rows_leaves_nothing(trained, tmp_path):
    pq.write_table(flights().slice(0, 0), tmp_path / "none.parquet")
    with pytest.raises(DataError, match="data: has no rows"):
        tfloom.score(trained.export, tmp_path / "none.parquet", tmp_path / "out", RUNNER)
    assert [path.name for path in tmp_path.iterdir()] == ["none.parquet"]


# -- BigQuery: the tables are loaded by a service of our own, from files of this machine --------------------------


@pytest.fixture
def to_a_table(trained, data, bigquery, tmp_path, monkeypatch):
    """Scores into the table p.shop.scores; workers, and the service, have this machine for Cloud Storage."""
    monkeypatch.setattr("tfloom.pipeline.bigquery_table._in_cloud_storage", lambda _: None)

    def score(source=data, key=("carrier",), overwrite=False):
        options = [*RUNNER, f"--temp_location={tmp_path}"]
        return tfloom.score(trained.export, source, "bq://p.shop.scores", options, key=key, overwrite=overwrite)

    return score


SCORES, REJECTED = (f"projects/p/datasets/shop/tables/scores{end}" for end in ("", "_rejected"))


def test_a_table_has_what_the_shards_have(to_a_table, scored, bigquery, tmp_path):
    told = to_a_table()
    expected = [row for table in shards(scored[0]).values() for row in table.drop_columns(["id"]).to_pylist()]
    assert bigquery.tables[SCORES].to_pylist() == expected
    kept = bigquery.tables[REJECTED].to_pylist()
    assert [(row["origin"], row["line"], row["column"]) for row in kept] == [
        (f"b.csv:{i}", i + 2, "distance") for i in (0, 60, 119)
    ]
    assert json.loads(kept[0]["row"])["distance"] == "far"
    assert told == scored[1]
    assert [load["destinationTable"]["tableId"] for load in bigquery.loads] == ["scores_rejected", "scores"]
    for load in bigquery.loads:
        assert (load["sourceFormat"], load["writeDisposition"]) == ("PARQUET", "WRITE_EMPTY")
        assert load["parquetOptions"]["enableListInference"] is True
        assert len(load["sourceUris"]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_table_that_is_there(to_a_table, data, bigquery, loads):
    """It is kept, or replaced, with what was rejected the last time."""
    bigquery.tables |= {SCORES: pa.table({"old": [1]}), REJECTED: pa.table({"old": [1]})}
    before = loads["in all"]
    with pytest.raises(ArtefactError, match=r"bq://p\.shop\.scores: is there already"):
        to_a_table()
    assert (loads["in all"], bigquery.loads) == (before, [])
    to_a_table(data[0], overwrite=True)
    assert bigquery.tables[SCORES].num_rows == 2_600
    assert REJECTED not in bigquery.tables
    assert [load["writeDisposition"] for load in bigquery.loads] == ["WRITE_TRUNCATE"]


def test_a_table_that_may_not_be_written(to_a_table, bigquery, tmp_path):
    bigquery.denied.add(SCORES)
    with pytest.raises(ArtefactError, match=r"bq://p\.shop\.scores: cannot be written") as error:
        to_a_table()
    assert error.value.received == "bigquery.tables.create denied"
    assert SCORES not in bigquery.tables
    assert list(tmp_path.iterdir()) == []


def test_a_key_that_is_no_column_of_a_table(to_a_table, bigquery, tmp_path):
    source = flights().append_column("flight no.", pa.array(range(120)))
    with pytest.raises(DataError, match=r"key: 'flight no\.' cannot be a column of BigQuery"):
        to_a_table(source, key=["flight no."])
    with pytest.raises(DataError, match=r"b\.csv: key: 'id' is of another type than in .*a\.parquet") as error:
        to_a_table(key=["id"])
    assert (error.value.expected, error.value.received) == ("int64", "string")
    assert (bigquery.tables, list(tmp_path.iterdir())) == ({}, [])
