"""`tfloom list` names what there is, each with a line about it."""

import pytest

from tfloom.feature_specs import spec

COLUMNS = "bucketized crossed embedded hashed identity image indicator numeric vocabulary"
HEADS = "binary_classification multiclass_classification regression"


@pytest.mark.parametrize(("what", "names"), [("heads", HEADS), ("backbones", "cnn dnn linear wide_deep")])
def test_everything_has_a_line(succeeds, what, names):
    header, *rows = succeeds("list", what)
    assert header == "name what it is"
    assert set(names.split()) <= {row.split()[0] for row in rows}
    assert all(len(row.split()) > 2 and row.endswith(".") for row in rows)


def test_what_columns_read_and_give(succeeds):
    header, *rows = succeeds("list", "columns")
    assert header == "name what it is the raw row the model sees"
    assert set(COLUMNS.split()) <= {row.split()[0] for row in rows}
    assert "numeric a number or a vector of them, scaled. one value or a vector, float32 or int64 Dense" in rows
    assert "identity an integer that is an id already. any number of values, int64 Categorical" in rows
    assert "constant the same number in every row. nothing Dense" in rows


@pytest.mark.parametrize(
    ("kind", "raw_row"),
    [
        ("indicator", "what another column reads"),
        ("geo_cell", "one value of each input, float32 or int64"),
        ("crossed", "any number of values, string or int64, or what another column reads"),
        ("image", "one value, bytes"),
        ("bucketized", "one value or a vector, float32 or int64"),
        ("lookup_number", "any number of values, string or int64"),
    ],
)
def test_what_a_kind_reads(kind, raw_row):
    assert spec.kind(kind).raw_row() == raw_row


def test_what_cannot_be_listed(refused):
    assert refused("list", "column") == (
        "list: there are no 'column' to list", "'columns', or another of: backbones, columns, heads", "'column'"
    )  # fmt: skip
