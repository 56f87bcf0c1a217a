"""`tfloom predict` scores raw rows, shows the first and writes all of them."""

import re

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from tfloom.cli.predict import _seconds

NAMES = ["class_ids", "classes", "logistic", "logits", "probabilities"]


def test_the_first_rows_behind_their_keys(succeeds):
    header, *rows = succeeds("predict", "export", "people.csv", "--rows", "3", "--key", "id", "--key", "fold")
    assert header.split() == ["id", "fold", *NAMES]
    assert [row.split()[:2] for row in rows] == [["0", "test"], ["1", "train"], ["2", "train"]]


def test_a_number_that_is_a_key_is_shown_as_it_is(succeeds, tmp_path):
    pq.write_table(pa.table({"age-now": [21], "home town": ["Oslo"], "year": [2013]}), tmp_path / "rows.parquet")
    _, row = succeeds("predict", "export", tmp_path / "rows.parquet", "--key", "year")
    assert row.startswith("2013 ")


def test_all_rows_are_written_and_twenty_shown(succeeds, tmp_path):
    """120 rows: for those without a label too."""
    told = succeeds("predict", "export", "people.csv", "-o", tmp_path / "scores.parquet", "--key", "id")
    assert len(told) == 1 + 20 + 2
    assert told[-2:] == ["... 120 rows in all", f"written: {tmp_path / 'scores.parquet'}"]
    table = pq.read_table(tmp_path / "scores.parquet")
    assert table.column_names == ["id", *NAMES]
    assert table.column("id").to_pylist() == [str(i) for i in range(120)]
    for row in table.to_pylist():
        negative, positive = row["probabilities"]
        assert row["logistic"] == positive == pytest.approx(1 - negative, abs=1e-6)


def test_a_row_that_is_rejected_has_its_place(succeeds, tmp_path):
    data, out = tmp_path / "rows.csv", tmp_path / "scores.csv"
    data.write_text("home town,age-now\nOslo,20\nOslo,old\nParis,\n")
    told = succeeds("predict", "export", data, "-o", out)
    assert told[-2:] == ["rejected: 1 rows", f"written: {out}"]
    table = pyarrow.csv.read_csv(out)
    assert table.column_names == [*NAMES, "rejected"]
    assert [value is None for value in table.column("logistic").to_pylist()] == [False, True, False]
    assert "old" in table.column("rejected")[1].as_py()


def test_a_job_on_beam_writes_a_folder(tfloom, succeeds, tmp_path, caplog):
    """What it says of the rows, and what lies there."""
    data, out = tmp_path / "rows.csv", tmp_path / "scores"
    data.write_text("id,home town,age-now\n7,Oslo,20\n8,Oslo,old\n9,Paris,\n")
    said = tfloom("predict", "export", data, "-o", out, "--key", "id", "--runner", "FnApiRunner")
    assert (said.code, said.err, caplog.messages) == (0, "", []), said
    *told, written = said.lines
    assert told == ["rows: 3 in, 2 out, 1 rejected", "rejected: 1 x age-now: 'old' is no float32"]
    assert re.fullmatch(rf"written: {out} in \d+ s", written)
    (shard,) = (out / "predictions").iterdir()
    table = pq.read_table(shard)
    assert table.column_names == ["id", *NAMES, "__origin__"]
    assert table.column("id").to_pylist() == ["7", "9"]
    succeeds("predict", "export", data, "-o", out, "--overwrite", "--runner=FnApiRunner")
    assert pq.read_table(shard).column_names == [*NAMES, "__origin__"]


@pytest.mark.parametrize(
    ("arguments", "what", "expected", "received"),
    [
        (["export", "people.csv", "--key", "idd"], "people.csv: has no column 'idd'",
         "'id', or another of: age-now, fold, home town, id, income", "'idd'"),
        (["export", "people.csv", "-o", "scores.xlsx"], "scores.xlsx: is of no format that can be written",
         "a name that ends in .parquet or .csv; a folder or a table takes a --runner", "'.xlsx'"),
        (["export", "people.csv", "-o", "bq://p.shop.scores"],
         "bq://p.shop.scores: is of no format that can be written",
         "a name that ends in .parquet or .csv; a folder or a table takes a --runner", "'.scores'"),
        (["export", "people.csv", "--runner=FnApiRunner"],
         "--output: is missing, and a job on Beam writes its predictions there",
         "a new folder, or bq://project.dataset.table", "no --output"),
        (["export", "people.csv", "-o", "scores", "--rows=3", "--runner=FnApiRunner"],
         "--rows: is not for a job on Beam, which scores all rows", "no --rows", "--rows 3"),
        (["export", "people.csv", "-o", "transformed", "--runner=FnApiRunner"],
         "transformed: is there already", "a new path, or --overwrite", "transformed"),
        (["export", "people.csv", "-o", "bq://p.shop.scores", "--runner=FnApiRunner", "--temp_location=tmp"],
         "--temp_location: is where BigQuery loads a table from", "gs://BUCKET/FOLDER", "tmp"),
        (["export", "people.csv", "-o", "bq://shop.scores", "--runner=FnApiRunner", "--temp_location=gs://b/tmp"],
         "bq://shop.scores: is the name of no table",
         "bq://project.dataset.table; for a view, a wildcard or a partition a .sql file with a query of it",
         "shop.scores"),
        (["export", "nothing.csv"], "nothing.csv: there is no such file",
         "a CSV, Parquet, JSON lines or TFRecord file, or a glob of them", "nothing"),
        (["nothing", "people.csv"], "nothing: there is no such folder",
         "an export, as `tfloom export` writes it, with saved_model.pb", "nothing"),
        (["people.csv", "people.csv"], "people.csv: is not an export",
         "an export, as `tfloom export` writes it, with saved_model.pb", "a file"),
    ],
)  # fmt: skip
def test_what_cannot_be_predicted(refused, arguments, what, expected, received):
    assert refused("predict", *arguments) == (what, expected, received)


def test_an_option_that_nobody_has(refused):
    what, expected, received = refused(
        "predict", "export", "people.csv", "-o", "scores", "--runner=x", "--num_worker=3"
    )
    assert (what, received) == ("--num_worker: there is no such option", "--num_worker=3")
    assert expected.startswith("'--num_workers', or another of: ")


def test_data_that_lacks_a_column_leaves_no_file(refused, write, tmp_path):
    path = write("no_town.csv")
    what, _, _ = refused("predict", "export", path, "-o", tmp_path / "scores.csv")
    assert what == f"{path}: has no column 'home town', which columns.town reads"


@pytest.mark.parametrize("given", ["2 m", "0s", "soon", "-1s"])
def test_a_window_that_is_no_time(tfloom, given):
    said = tfloom("predict", "export", "clip.mp4", f"--window={given}")
    assert said.code == 2
    assert said.err.splitlines() == [
        "--window: is no time", "  expected: such as 2s, 500ms or 1min", f"  received: {given}",
    ]  # fmt: skip


def test_windows_are_not_for_beam(tfloom, tmp_path):
    said = tfloom("predict", "export", "people.csv", "-o", tmp_path / "out", "--window=2s", "--runner", "FnApiRunner")
    assert said.code == 2
    assert said.err.startswith("--window: is not for a job on Beam")


def test_times():
    told = {"2s": 2.0, "1.5s": 1.5, "500ms": 0.5, "1min": 60.0, "3": 3.0}
    assert {text: _seconds("window", text) for text in told} == told
