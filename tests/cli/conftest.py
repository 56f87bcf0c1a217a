"""Commands as `main` runs them, in this process, and one run of the whole way for all of these tests."""

import contextlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import pytest

from tfloom.cli import main

SPEC = """\
columns:
- {name: age, kind: numeric, source: age-now, scale: z_score, missing: mean}
- {name: town, kind: vocabulary, source: home town, oov_buckets: 1}
- {name: town_in, kind: indicator, of: town}
labels:
- {name: rich, source: income, positive: ">50K", negative: "<=50K", missing: drop}
split: {by: column, source: fold}
"""


def people():
    """120 rows, of which 2 have no label and 1 has one that is none: 79 train, 19 eval, 19 test.

    23 of the 117 are rich: 15 train, 4 eval, 4 test. Of train 39 are 21 years old, 39 are 22, of one it is not known;
    40 live in Oslo, 20 in Bergen, 19 in Molde.
    """
    yield "id,age-now,home town,fold,income"
    for i in range(120):
        fold = "test" if i % 6 == 0 else "eval" if i % 6 == 3 else "train"
        income = {6: "", 9: "", 10: "plenty"}.get(i, ">50K" if i % 5 == 0 else "<=50K")
        yield f"{i},{20 + i % 3 if i != 11 else ''},{('Oslo', 'Bergen', 'Molde', 'Oslo')[i % 4]},{fold},{income}"


@dataclass(frozen=True)
class Said:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def lines(self):
        """What it printed, word by word: tables without their spaces and rules."""
        return [" ".join(line.split()) for line in self.out.splitlines() if line.strip(" ─")]


def run(*arguments):
    out, err = io.StringIO(), io.StringIO()
    argv = mock.patch.object(sys, "argv", ["tfloom", *map(str, arguments)])
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), argv:
        try:
            main()
            code = 0
        except SystemExit as exit_:
            code = exit_.code or 0
    return Said(code, out.getvalue(), err.getvalue())


@dataclass(frozen=True)
class Way:
    """A folder with people.csv, spec.yaml, transformed, model and export, and what the commands said that made it."""

    folder: Path
    preprocess: Said
    train: Said
    export: Said


@pytest.fixture(scope="session")
def way(tmp_path_factory):
    folder = tmp_path_factory.mktemp("way")
    (folder / "people.csv").write_text("\n".join(people()) + "\n")
    (folder / "spec.yaml").write_text(SPEC)
    (folder / "train.yaml").write_text("backbone: {name: dnn, hidden: [4]}\nepochs: 5\n")
    with contextlib.chdir(folder):
        preprocess = run("preprocess", "spec.yaml", "people.csv", "-o", "transformed")
        train = run("train", "transformed", "-o", "model", "--train-spec", "train.yaml", "--set", "epochs=2")
        export = run("export", "model", "-o", "export")
    return Way(folder, preprocess, train, export)


@pytest.fixture
def tfloom(way, monkeypatch):
    """Runs a command in the folder of `way`: its arguments -> Said."""
    monkeypatch.chdir(way.folder)
    return run


@pytest.fixture
def succeeds(tfloom):
    """Runs a command that has to succeed: its arguments -> what it printed, line by line."""

    def lines(*arguments):
        said = tfloom(*arguments)
        assert said.code == 0, said
        return said.lines

    return lines


@pytest.fixture
def refused(tfloom, way, tmp_path):
    """Runs a command that has to be refused and leave nothing: its arguments -> (what, expected, received)."""

    def files():
        return {path: path.stat().st_mtime_ns for folder in (way.folder, tmp_path) for path in folder.rglob("*")}

    def three_parts(*arguments):
        before = files()
        said = tfloom(*arguments)
        assert (said.code, said.out.strip()) == (2, ""), said
        assert files() == before
        what, expected, received = said.err.strip().splitlines()
        assert (expected[:12], received[:12]) == ("  expected: ", "  received: ")
        return what, expected[12:], received[12:]

    return three_parts


@pytest.fixture
def write(way, tmp_path):
    """Writes a file that is not as it should be: its name in `tmp_path` -> its path."""
    spec = (way.folder / "spec.yaml").read_text()
    texts = {
        "wrong_key.yaml": spec.replace("scale:", "scal:"),
        "no_vocabulary.yaml": spec.replace("oov_buckets: 1", "vocabulary_file: towns.txt"),
        "no_town.csv": "id,age-now,fold,income\n1,30,train,>50K\n",
        "broken.parquet": "PAR1",
        "empty.csv": "",
    }

    def named(name):
        (tmp_path / name).write_text(texts[name])
        return tmp_path / name

    return named
