"""`tfloom check` says what would become of the data, or what does not fit."""

import shutil

import pytest

from tfloom.feature_specs.columns.numeric import Numeric

READABLE = "a CSV file with a header, Parquet, JSON lines, or TFRecord of tf.Example"
A_FILE = "a CSV, Parquet, JSON lines or TFRecord file, or a glob of them"


def test_what_would_become_of_the_data(succeeds):
    assert succeeds("check", "spec.yaml", "people.csv") == [
        "column kind reads dtype missing",
        "age numeric age-now float32 0.9%",
        "town vocabulary home town string",
        "town_in indicator town",
        "label rich: 94 0 (80.3%), 23 1 (19.7%)",
        "rows: 120 in, 117 out, 0 filtered, 2 unlabelled, 1 rejected",
        "splits: 79 train, 19 eval, 19 test",
        "rejected: 1 x label rich: 'plenty' is none of its values",
    ]


def test_rows_of_the_train_file_are_held_out_where_no_eval_file_is_named(succeeds, way, tmp_path):
    """As `tfloom preprocess` would; by the spec's rule, whose eval and test both are held out."""
    test = shutil.copy(way.folder / "people.csv", tmp_path / "test.csv")
    told = succeeds("check", "spec.yaml", "--train", "people.csv", "--test", test)
    assert "splits: 79 train, 38 eval, 117 test" in told


@pytest.mark.parametrize(
    ("spec", "data", "what", "expected", "received"),
    [
        ("wrong_key.yaml", "people.csv", "{}, line 2: columns.0.scal: there is no 'scal'",
         f"'scale', or another of: {', '.join(sorted(Numeric.model_fields))}", "'scal'"),
        ("nothing.yaml", "people.csv", "nothing.yaml: cannot be read", "a YAML or JSON file",
         "No such file or directory"),
        ("model", "people.csv", "model: cannot be read", "a YAML or JSON file", "Is a directory"),
        ("spec.yaml", "no_town.csv", "{}: has no column 'home town', which columns.town reads",
         "one of: age-now, fold, id, income", "id, age-now, fold, income"),
        ("spec.yaml", "empty.csv", "{}: cannot be read", READABLE,
         "it is empty, without a header"),
        ("spec.yaml", "nothing.csv", "nothing.csv: there is no such file", A_FILE,
         "nothing"),
        ("spec.yaml", "nothing*.csv", "nothing*.csv: no file matches", A_FILE,
         "nothing"),
        ("spec.yaml", "model", "model: there is no such file", A_FILE, "a folder"),
    ],
)  # fmt: skip
def test_what_does_not_fit(refused, write, way, spec, data, what, expected, received):
    given = [name if (way.folder / name).exists() or "nothing" in name else write(name) for name in (spec, data)]
    written = next((path for path in given if not isinstance(path, str)), None)
    assert refused("check", *given) == (what.format(written), expected, received)


def test_a_file_that_is_broken(refused, write):
    path = write("broken.parquet")
    what, expected, received = refused("check", "spec.yaml", path)
    assert (what, expected) == (
        f"{path}: cannot be read",
        READABLE,
    )
    assert "Parquet" in received


def test_a_vocabulary_file_that_is_absent(refused, write):
    what, expected, received = refused("check", write("no_vocabulary.yaml"), "people.csv")
    assert what == "columns.town.vocabulary_file: there is no such file"
    assert expected
    assert "towns.txt" in received


@pytest.mark.parametrize(
    ("given", "received"),
    [
        ([], "nothing"),
        (["people.csv", "--train", "people.csv"], "DATA and --train"),
        (["--test", "people.csv"], "--test"),
    ],
)
def test_data_is_given_in_one_way(refused, given, received):
    assert refused("check", "spec.yaml", *given) == (
        "data: is given in no way that can be read",
        "DATA, for the spec's own split, or --train FILE with --eval FILE and --test FILE",
        received,
    )
