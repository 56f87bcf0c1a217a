"""`tfloom preprocess` writes a transform output, whole or not at all."""

import io
import json
import re
from types import SimpleNamespace

import pytest
from rich.console import Console
from rich.progress import Progress

from tfloom import api
from tfloom.cli._job import BAR, ask, report_to
from tfloom.feature_specs.directories import TransformOutput


def test_what_became_of_the_rows(way):
    *told, written = way.preprocess.lines
    assert way.preprocess.code == 0
    assert told == [
        "rows: 120 in, 117 out, 0 filtered, 2 unlabelled, 1 rejected",
        "splits: 79 train, 19 eval, 19 test",
        "rejected: 1 x label rich: 'plenty' is none of its values",
    ]
    assert re.fullmatch(r"written: transformed in \d+ s", written)
    assert TransformOutput.open(way.folder / "transformed").num_buckets == {"town": 4}


def test_no_bar_where_nobody_looks(way):
    assert way.preprocess.err == ""


@pytest.mark.parametrize(("answer", "cancels"), [("y", True), ("Yes", True), ("n", False), ("", False)])
def test_ctrl_c_asks_whether_to_cancel_a_job(monkeypatch, answer, cancels):
    console = Console(file=(out := io.StringIO()), force_terminal=True, color_system=None, width=120)
    monkeypatch.setattr("sys.stdin", io.StringIO(answer + "\n"))
    with Progress(*BAR, console=console) as progress:
        assert ask(progress)(SimpleNamespace(name="2026-1")) is cancels
    assert "cancel the job 2026-1? [y/N] (no: watch it further; Ctrl-C: leave it alone)" in out.getvalue()


def test_a_bar_for_each_phase():
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, color_system=None, width=100)
    with Progress(*BAR, console=console) as progress:
        report = report_to(progress, "preprocessing")
        report("reading", 0, None)
        report("reading", 60_000, None)
        progress.refresh()
        report("learning", 0, 120_000)
        report("learning", 120_000, 120_000)
        progress.refresh()
    told = out.getvalue()
    assert re.search(r"reading .* 60,000 rows, [\d,]+ rows/s", told)
    assert re.search(r"learning .* 120,000 rows, [\d,]+ rows/s +0:00:00", told)


def test_a_rejected_row_keeps_its_reason_and_its_line(way):
    (file,) = (way.folder / "transformed" / "rejected").iterdir()
    rejected = json.loads(file.read_text())
    assert (rejected["origin"], rejected["line"]) == ("people.csv:10", 12)
    assert rejected["reason"] == "label rich: 'plenty' is none of its values"


@pytest.mark.parametrize(
    ("spec", "data", "what"),
    [
        ("wrong_key.yaml", "people.csv", "line 2: columns.0.scal: there is no 'scal'"),
        ("no_vocabulary.yaml", "people.csv", "columns.town.vocabulary_file: there is no such file"),
        ("spec.yaml", "no_town.csv", "has no column 'home town', which columns.town reads"),
        ("spec.yaml", "broken.parquet", "cannot be read"),
    ],
)
def test_what_does_not_fit_leaves_nothing(refused, write, tmp_path, spec, data, what):
    given = (name if name in ("spec.yaml", "people.csv") else write(name) for name in (spec, data))
    assert what in refused("preprocess", *given, "-o", tmp_path / "transformed")[0]


def test_an_output_that_is_there_is_kept(refused):
    assert refused("preprocess", "spec.yaml", "people.csv", "-o", "transformed") == (
        "transformed: is there already", "a new path, or --overwrite", "transformed"
    )  # fmt: skip


def test_a_place_where_no_folder_can_be(refused):
    what, expected, received = refused("preprocess", "spec.yaml", "people.csv", "-o", "people.csv/transformed")
    assert what == "people.csv/transformed: cannot be written"
    assert expected == "the name of a new folder, in a folder to write in"
    assert received in ("Not a directory", "File exists")


@pytest.mark.parametrize("size", ["2", "GiB", "-1GiB", "2 TB", "1e3MiB"])
def test_a_size_that_is_none(refused, size):
    assert refused("preprocess", "spec.yaml", "people.csv", "-o", "never", f"--memory-limit={size}") == (
        f"--memory-limit {size}: is no size", "a number of MiB or GiB, such as 512MiB", size
    )  # fmt: skip


def test_options_are_handed_on(tfloom, way, monkeypatch):
    calls = []

    def preprocess(spec, data, out, report, interrupted, **options):
        calls.append((data, str(out), options))
        return TransformOutput.open(way.folder / "transformed")

    monkeypatch.setattr(api, "preprocess", preprocess)
    files = ["--train", "a.csv", "--train", "b.csv", "--test", "c.csv"]
    options = ["--max-rejected", "0.5", "--examples", "both", "--overwrite", "--threads", "3"]
    options += ["--memory-limit", "1.5GiB", "--runner", "FlinkRunner", "--parallelism=3"]
    assert tfloom("preprocess", "spec.yaml", *files, *options, "-o", "out").code == 0
    assert calls == [
        (
            {"train": ["a.csv", "b.csv"], "test": ["c.csv"]},
            "out",
            {
                "overwrite": True,
                "max_rejected": 0.5,
                "examples": "both",
                "threads": 3,
                "memory_limit": 3 << 29,
                "beam_options": ["--runner", "FlinkRunner", "--parallelism=3"],
            },
        )
    ]


def test_an_option_that_nobody_has(refused):
    what, expected, received = refused("preprocess", "spec.yaml", "people.csv", "-o", "never", "--max-rejectd=0.5")
    assert (what, received) == ("--max-rejectd: there is no such option", "--max-rejectd=0.5")
    assert expected.startswith("'--max-rejected', or another of: --dry-run, --eval")


def test_a_runner_that_cannot(refused):
    what, _, received = refused("preprocess", "spec.yaml", "people.csv", "-o", "never", "--runner", "DaskRunner")
    assert what.startswith("--runner: DaskRunner of Beam cannot run the job")
    assert received == "DaskRunner"


def test_the_help_shows_what_people_set(succeeds):
    told = "\n".join(succeeds("preprocess", "--help"))
    assert "--runner What runs the job: one of DataflowRunner, FlinkRunner" in told
    assert "--flexrs_goal Set the Flexible Resource Scheduling mode" in told


def test_a_dry_run(tfloom, way):
    before = {path: path.stat().st_mtime_ns for path in way.folder.rglob("*")}
    said = tfloom("preprocess", "spec.yaml", "people.csv", "-o", "never", "--dry-run", "--runner=PrismRunner")
    assert said.code == 0, said
    assert said.lines[:4] == [
        "checked: every option is known to Beam, and the runner has those that it needs",
        "checked: the spec: 3 columns, labels: rich",
        "checked: data: 1 csv",
        "checked: every column that is read is there: age-now, home town, income, fold",
    ]
    assert re.match(r"steps: Read \(\d+\), Ingest \(\d+\), ", said.lines[4])
    assert said.lines[5].startswith("stage 1: ")
    shuffle, nothing = said.lines[-2:]
    assert re.fullmatch(r"shuffle: about [\d.,]+ MB a million rows, in 1 pass; by the first 79 training rows", shuffle)
    assert nothing == "nothing was started"
    assert {path: path.stat().st_mtime_ns for path in way.folder.rglob("*")} == before
