"""`tfloom list` names what there is, each with a line about it."""

import pytest

COLUMNS = "bucketized crossed embedded hashed identity image indicator numeric vocabulary"
HEADS = "binary_classification multiclass_classification regression"


@pytest.mark.parametrize(
    ("what", "names"), [("columns", COLUMNS), ("heads", HEADS), ("backbones", "cnn dnn linear wide_deep")]
)
def test_everything_has_a_line(succeeds, what, names):
    header, *rows = succeeds("list", what)
    assert header == "name what it is"
    assert set(names.split()) <= {row.split()[0] for row in rows}
    assert all(len(row.split()) > 2 and row.endswith(".") for row in rows)


def test_what_a_column_is(succeeds):
    assert "numeric a number, scaled." in succeeds("list", "columns")


def test_what_cannot_be_listed(refused):
    assert refused("list", "column") == (
        "list: there are no 'column' to list", "'columns', or another of: backbones, columns, heads", "'column'"
    )  # fmt: skip
