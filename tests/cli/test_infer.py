"""`tfloom infer` writes a spec to start from."""

import pytest

from tfloom.feature_specs import load_spec


def test_a_spec_to_start_from(succeeds, tmp_path):
    out = tmp_path / "new" / "spec.yaml"
    assert succeeds("infer", "people.csv", "--label", "fold", "-o", out) == [
        "column kind reads",
        "age-now vocabulary age-now",  # 3 whole numbers
        "age-now_in indicator age-now",
        "home_town vocabulary home town",
        "home_town_in indicator home_town",
        "income vocabulary income",
        "income_in indicator income",
        "left out: id, distinct in 100% of rows, as an id is",
        "label fold: multiclass_classification",
        f"written: {out}",
    ]
    assert load_spec(out).label().class_names == ("eval", "test", "train")
    assert "#   id: distinct in 100% of rows, as an id is" in out.read_text()


def test_a_spec_that_is_there_is_kept_unless_asked(refused, succeeds, tmp_path):
    out = tmp_path / "spec.yaml"
    out.write_text("mine")
    told = refused("infer", "people.csv", "--label", "fold", "-o", out)
    assert told == (f"{out}: is there already", "a new path, or --overwrite", str(out))
    succeeds("infer", "people.csv", "--label", "fold", "-o", out, "--overwrite")
    assert load_spec(out).label().name == "fold"


@pytest.mark.parametrize(
    ("data", "label", "out", "what"),
    [
        ("people.csv", "incme", "new.yaml", "label: the data has no column 'incme'"),
        ("nothing.csv", "income", "new.yaml", "nothing.csv: there is no such file"),
        ("broken.parquet", "income", "new.yaml", "{}: cannot be read"),
        ("people.csv", "income", "people.csv/new.yaml", "people.csv/new.yaml: cannot be written"),
    ],
)
def test_what_cannot_be_inferred_leaves_nothing(refused, write, data, label, out, what):
    path = write(data) if data == "broken.parquet" else data
    assert refused("infer", path, "--label", label, "-o", out)[0] == what.format(path)


def test_the_nearest_column_is_named(refused):
    expected = refused("infer", "people.csv", "--label", "incme", "-o", "new.yaml")[1]
    assert expected == "'income', or another of: age-now, fold, home town, id, income"
