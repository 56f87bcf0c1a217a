"""`tfloom evaluate` prints metrics of a split, or of other data, by the values of a column if asked."""

import json
import shutil

import pytest

NAMES = "rows loss auc auc_precision_recall accuracy label/mean prediction/mean"
MODEL = "a model, as `tfloom train` writes it, with train_spec.json"


@pytest.mark.parametrize("split", ["test", "eval"])
def test_a_split(succeeds, way, tmp_path, split):
    """19 rows, 4 of them rich; and the model's metrics.json has them too."""
    names, row = succeeds("evaluate", "model", *(["--split", split] if split != "test" else []))
    assert names == NAMES
    name, rows, *values = row.split()
    assert (name, rows, values[4]) == (split, "19", "0.2105")
    told = json.loads((way.folder / "model" / "metrics.json").read_text())[split]
    assert (told["rows"], f"{told['auc']:.4f}") == (19, values[1])


def test_other_data_by_the_values_of_a_column(succeeds):
    """Every labelled row: of Bergen 6 of 29 are rich, of Molde 5 of 28, of Oslo 12 of 60."""
    names, *rows = succeeds("evaluate", "model", "people.csv", "--slice", "home town")
    assert names == f"home town {NAMES}"
    told = {row.split()[0]: (int(row.split()[1]), row.split()[6]) for row in rows}
    assert told == {"all": (117, "0.1966"), "Bergen": (29, "0.2069"), "Molde": (28, "0.1786"), "Oslo": (60, "0.2000")}


def test_a_column_that_the_data_does_not_have(refused):
    assert refused("evaluate", "model", "people.csv", "--slice", "twon") == (
        "people.csv: has no column 'twon'", "one of: age-now, fold, home town, id, income", "'twon'"
    )  # fmt: skip


def test_a_slice_needs_data(refused):
    what, expected, received = refused("evaluate", "model", "--slice", "fold")
    assert what == "slice: 'fold' is a column of raw data"
    assert "the file that was preprocessed" in expected
    assert received == "no data"


def test_a_split_that_is_none(refused):
    told = refused("evaluate", "model", "--split", "validation")
    assert told == ("transformed: the split 'validation' has no rows", "one of train, eval, test", "'validation'")


def test_data_that_lacks_a_column(refused, write):
    path = write("no_town.csv")
    assert refused("evaluate", "model", path)[0] == f"{path}: has no column 'home town', which columns.town reads"


@pytest.mark.parametrize(("path", "what"), [("transformed", "is not a model"), ("nothing", "there is no such folder")])
def test_what_is_no_model(refused, path, what):
    assert refused("evaluate", path)[:2] == (f"{path}: {what}", MODEL)


def test_a_model_whose_transform_output_is_gone(refused, way, tmp_path):
    shutil.copytree(way.folder / "model", tmp_path / "model")
    what, expected, received = refused("evaluate", tmp_path / "model")
    assert what == f"{tmp_path / 'transformed'}: there is no such folder"
    assert expected.startswith("a transform output")
    assert received == "nothing"
