"""`tfloom transform` shows a row as the model sees it."""

import pytest


def test_a_row_column_by_column(succeeds):
    """Of the train rows 39 are 21 years old and 39 are 22: their mean is 21.5, their deviation 0.5."""
    header = "column kind raw what the model sees"
    assert succeeds("transform", "transformed", "people.csv", "--rows", "2") == [
        "people.csv:0",
        header,
        "age numeric age-now 20 -3",
        "town vocabulary home town Oslo id 0 (Oslo) of 4",
        "town_in indicator home town Oslo one-hot 0 (Oslo) of 4",
        "people.csv:1",
        header,
        "age numeric age-now 21 -1",
        "town vocabulary home town Bergen id 1 (Bergen) of 4",
        "town_in indicator home town Bergen one-hot 1 (Bergen) of 4",
    ]


def test_what_is_missing_or_unknown(succeeds, tmp_path):
    (tmp_path / "new.csv").write_text("age-now,home town\n,Paris\n")
    assert succeeds("transform", "transformed", tmp_path / "new.csv")[2:] == [
        "age numeric age-now (missing) 0",
        "town vocabulary home town Paris id 3 of 4",
        "town_in indicator home town Paris one-hot 3 of 4",
    ]


def test_where_every_row_is_rejected(refused, tmp_path):
    (tmp_path / "new.csv").write_text("age-now,home town\nold,Oslo\n")
    what, expected, received = refused("transform", "transformed", tmp_path / "new.csv")
    assert (what, expected) == ("data: has no row to transform", "a row or more")
    assert "'old'" in received


def test_data_that_lacks_a_column(refused, write):
    path = write("no_town.csv")
    what, _, _ = refused("transform", "transformed", path)
    assert what == f"{path}: has no column 'home town', which columns.town reads"


@pytest.mark.parametrize(("path", "what"), [("model", "is not a transform output"), ("nothing", "there is no such")])
def test_what_is_no_transform_output(refused, path, what):
    assert what in refused("transform", path, "people.csv")[0]
