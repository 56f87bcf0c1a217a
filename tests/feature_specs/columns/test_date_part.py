import datetime

import pandas as pd
import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.date_part import DatePart
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

WHEN = {"kind": "date_part", "source": "date_part_when"}
STAMP = {"kind": "date_part", "source": "date_part_stamp"}


class TestDatePart(ColumnContract):
    rows = {
        # Thursday; Monday; Saturday of ISO week 53 of 2020; leap day, a Tuesday; missing; the last second there is.
        "date_part_when": pa.array([
            "2013-01-31T05:15:09", "2013-02-04", "2021-01-02 23:59", "2000-02-29T12:00:00Z", None, "NA", "",
            "9999-12-31T23:59:59",
        ]),
        # 1970-01-01 00:00:00, a Thursday; the second before; 2013-01-31 05:15:00; 2016-12-31 00:00:00, day 366.
        "date_part_stamp": pa.array([0, -1, 1_359_609_300, 1_483_142_400, 0, None, 0, 59]),
    }  # fmt: skip
    columns = {
        "date_part_quarter": WHEN | {"part": "quarter"},
        "date_part_month": WHEN | {"part": "month"},
        "date_part_week": WHEN | {"part": "week"},
        "date_part_day": WHEN | {"part": "day"},
        "date_part_weekday": WHEN | {"part": "weekday"},
        "date_part_weekend": WHEN | {"part": "is_weekend"},
        "date_part_day_of_year": STAMP | {"part": "day_of_year"},
        "date_part_hour": STAMP | {"part": "hour"},
        "date_part_minute": STAMP | {"part": "minute"},
        "date_part_second": STAMP | {"part": "second"},
    }
    transformed = {
        "date_part_quarter": [[0], [0], [0], [0], [], [], [], [3]],
        "date_part_month": [[0], [1], [0], [1], [], [], [], [11]],
        "date_part_week": [[4], [5], [52], [8], [], [], [], [51]],
        "date_part_day": [[30], [3], [1], [28], [], [], [], [30]],
        "date_part_weekday": [[3], [0], [5], [1], [], [], [], [4]],
        "date_part_weekend": [[0], [0], [1], [0], [], [], [], [0]],
        "date_part_day_of_year": [[0], [364], [30], [365], [0], [], [0], [0]],
        "date_part_hour": [[0], [23], [5], [0], [0], [], [0], [0]],
        "date_part_minute": [[0], [59], [15], [0], [0], [], [0], [0]],
        "date_part_second": [[0], [59], [0], [0], [0], [], [0], [59]],
    }
    no_raw = dict.fromkeys(columns, "date_part has no tf.feature_column over raw rows")


@pytest.mark.parametrize(
    ("part", "ids"),
    [
        ("quarter", 4), ("month", 12), ("week", 53), ("day", 31), ("day_of_year", 366), ("weekday", 7), ("hour", 24),
        ("minute", 60), ("second", 60), ("is_weekend", 2),
    ],
)  # fmt: skip
def test_the_calendar_says_how_many_ids_there_are(part, ids):
    assert DatePart(name="x", part=part).num_buckets(0) == ids


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("month", {0: "January", 11: "December"}), ("weekday", {0: "Monday", 6: "Sunday"}), ("day", {0: "1", 30: "31"}),
        ("is_weekend", {0: "weekday", 1: "weekend"}), ("quarter", {0: "1", 3: "4"}),
    ],
)  # fmt: skip
def test_an_id_has_a_word_for_people(part, words):
    column = DatePart(name="x", part=part)
    assert len(column.words()) == column.num_buckets(0)
    assert {i: column.words()[i] for i in words} == words


def test_an_id_that_is_its_number_needs_no_word():
    assert [DatePart(name="x", part=part).words() for part in ("hour", "minute", "second")] == [()] * 3


def hours(**inputs):
    return {"inputs": inputs, "columns": [{"name": "x", "kind": "date_part", "part": "hour"}]}


@pytest.mark.parametrize(
    "values",
    [
        pa.array([datetime.datetime(2013, 1, 31, 5, 15), None], pa.timestamp("s")),
        pa.array([datetime.datetime(2013, 1, 31, 5, 15), None], pa.timestamp("ms", "America/New_York")),
        pd.Series(pd.to_datetime(["2013-01-31 00:15:00-05:00", None])),
        pd.Series(pd.to_datetime(["2013-01-31 05:15:00.000000001", None])),
        pd.Series([1_359_609_300, None]),
        ["1359609300", None],
        ["2013-01-31T05:15+00:00", None],
    ],
    ids=["timestamp", "with_zone", "pandas_with_zone", "pandas", "seconds", "seconds_in_csv", "text"],
)
def test_whatever_holds_times(values, transform):
    assert transform(validate(hours(), FeatureSpec, "spec"), x=values)["x"] == [[5], []]


def test_a_day_is_its_midnight(transform):
    days = pa.array([datetime.date(2013, 1, 31), datetime.date(1, 1, 1), None], pa.date32())
    assert transform(validate(hours(), FeatureSpec, "spec"), x=days)["x"] == [[0], [0], []]


def test_digits_alone_are_seconds_unless_they_are_text(transform):
    spec = {"columns": [{"name": "x", "kind": "date_part", "part": "month"}]}
    assert transform(validate(spec, FeatureSpec, "spec"), x=["20131231"])["x"] == [[7]]  # in August 1970
    spec["inputs"] = {"x": {"dtype": "string"}}
    assert transform(validate(spec, FeatureSpec, "spec"), x=["20131231"])["x"] == [[11]]


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"part": "year"}, "columns.0.part", "'quarter', 'month', 'week'"),
        ({}, "columns.0.part", "a value for 'part'"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "date_part"} | fields]}, FeatureSpec, "spec")
    assert error.value.what.startswith(f"spec: {place}: ")


def test_it_reads_one_value_a_row():
    with pytest.raises(SpecError, match="date_part cannot read 'x', which is multi-valued"):
        validate(hours(x={"multi_valued": True}), FeatureSpec, "spec")
