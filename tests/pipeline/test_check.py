"""What would become of data by a spec, told before any of it is materialised."""

import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest
import yaml
from typer.testing import CliRunner

from tfloom.cli import app
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.check import check

YAML = """
columns:
  - {name: x, kind: numeric, missing: mean}
  - {name: word, kind: vocabulary}
  - {name: of_word, kind: indicator, of: word}
inputs: {x: {dtype: float32}}
labels:
  - {name: late, source: delay, above: 15, missing: drop}
  - {name: delay}
where: "cancelled == 0"
split: {by: column, source: part}
"""
# A fate for each row: out twice, out without an x, out without a word, filtered, unlabelled, rejected, malformed.
CSV = """x,word,delay,cancelled,part
1,a,10,0,train
2,b,20,0,eval
,c,30,0,train
4,,0,0,test
5,e,50,1,train
6,f,,0,train
much,g,10,0,train
8,h
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "spec.yaml").write_text(YAML)
    (tmp_path / "a.csv").write_text(CSV)
    return tmp_path


def spec(**changes):
    return FeatureSpec.model_validate(yaml.safe_load(YAML) | changes)


def test_it_counts_every_row(folder):
    told = check(spec(labels=[{"name": "late", "source": "delay", "above": 15, "missing": "drop"}]),
                 {None: folder / "a.csv"})  # fmt: skip
    assert told.rows == {"in": 8, "out": 4, "filtered": 1, "unlabelled": 1, "rejected": 2}
    assert told.splits == {"train": 2, "eval": 1, "test": 1}
    assert told.reasons == {"x: 'much' is no float32": 1, "another number of fields than the header": 1}
    assert told.missing == {"x": 1, "word": 1}  # of the rows that are left
    assert told.labels == {"late": {"0": 2, "1": 2}}  # 10 and 0; 20 and 30
    assert {name: (i.dtype, i.optional) for name, i in told.spec.inputs.items()} == {
        "x": ("float32", True), "word": ("string", True)
    }  # fmt: skip


def test_several_labels_each_have_their_say(folder):
    told = check(spec(), {None: folder / "a.csv"})
    # The label `delay` has no `missing`, so the row without one is rejected.
    assert told.rows == {"in": 8, "out": 4, "filtered": 1, "unlabelled": 0, "rejected": 3}
    assert told.reasons["label delay: delay is missing"] == 1
    assert list(told.labels) == ["late"]  # a number has no classes to count


def test_classes_that_never_occur_are_told(folder):
    label = {"name": "word", "source": "word", "classes": ["a", "b", "c", "z"], "missing": "keep"}
    columns = [{"name": "x", "kind": "numeric", "missing": 0}]
    told = check(spec(columns=columns, labels=[label]), {None: folder / "a.csv"})
    assert told.labels == {"word": {"a": 1, "b": 1, "c": 1, "z": 0}}
    assert told.rows == {"in": 8, "out": 4, "filtered": 1, "unlabelled": 0, "rejected": 3}
    assert told.reasons["label word: 'f' is none of its values"] == 1


def test_rows_are_held_out_of_named_training_data_as_preprocess_does(folder):
    frame = pd.DataFrame({"x": range(300), "word": "a", "delay": 1.0, "cancelled": 0, "part": "train"})
    hashed = spec(split={"by": "hash", "eval": 0.2, "test": 0.1})
    told = check(hashed, {"train": frame, "test": frame[:7]})
    assert told.splits["test"] == 7
    assert told.splits["train"] + told.splits["eval"] == 300
    assert 60 < told.splits["eval"] < 120  # 30% of 300 are 90, with a standard deviation of 8
    assert check(hashed, {"train": frame, "eval": frame[:7]}).splits == {"train": 300, "eval": 7, "test": 0}


def test_chunks_add_up(folder, monkeypatch):
    whole = check(spec(), {None: folder / "a.csv"})
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 2)
    assert check(spec(), {None: folder / "a.csv"}) == whole


@pytest.mark.parametrize(
    ("changes", "data", "error", "what"),
    [
        ({"columns": [{"name": "x", "kind": "numeric"}, {"name": "wrd", "kind": "vocabulary"}]}, {}, DataError,
         "data in memory: has no column 'wrd', which columns.wrd reads"),
        ({"inputs": {}}, {"x": ["a"]}, SpecError, "columns.x: numeric cannot read 'x', which holds string"),
        ({"where": "word > 3"}, {}, DataError, "where: column 'word' cannot be compared with 3"),
        ({"split": {"by": "time", "source": "cancelled", "eval": "2020-01-01"}}, {}, DataError,
         "split.source: 'cancelled': holds no times"),
    ],
)  # fmt: skip
def test_a_spec_that_does_not_fit_its_data(changes, data, error, what):
    row = {"x": ["1"], "word": ["a"], "delay": [1.0], "cancelled": [0], "part": ["train"]} | data
    changes = {"inputs": {}} | changes if "columns" in changes else changes
    with pytest.raises(error) as raised:
        check(spec(**changes), {None: pa.table(row)})
    assert raised.value.what == what


def test_the_command_says_it_all(folder):
    result = CliRunner().invoke(app, ["check", str(folder / "spec.yaml"), str(folder / "a.csv")])
    assert result.exit_code == 0
    said = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "x numeric x float32 25.0%" in said
    assert "word vocabulary word string 25.0%" in said
    assert "of_word indicator word" in said
    assert "label late: 2 0 (50.0%), 2 1 (50.0%)" in said
    assert "rows: 8 in, 4 out, 1 filtered, 0 unlabelled, 3 rejected" in said
    assert "splits: 2 train, 1 eval, 1 test" in said
    assert "rejected: 1 x x: 'much' is no float32" in said


def test_it_loads_no_tensorflow(folder):
    program = (
        "import sys, tfloom; tfloom.check('spec.yaml', 'a.csv'); "
        "assert not any(name.split('.')[0] == 'tensorflow' for name in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=True)
