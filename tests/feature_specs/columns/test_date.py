import datetime
import math

import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.date import Date
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.resolve import resolve

NAN = float("nan")
WHEN = {"kind": "date", "source": "date_when"}
GAPS = {"kind": "date", "source": "date_gaps"}
HOLIDAYS = ["2013-12-25", "2013-01-01", "2013-07-04"]


def circle(*steps):
    """Sine and cosine of each (place, places of the circle)."""
    return [f(2 * math.pi * place / places) for place, places in steps for f in (math.sin, math.cos)]


class TestDate(ColumnContract):
    rows = {
        # Thursday; New Year, Tuesday; Sunday of ISO week 53 of 2020; leap day, a Tuesday; a Thursday; a Wednesday;
        # Monday; Friday.
        "date_when": pa.array([
            "2013-01-31T05:15:09", "2013-01-01", "2021-01-03 23:59:59", "2000-02-29T12:00:00Z", "1970-01-01",
            "1969-12-31T18:30-01:00", "0001-01-01", "9999-12-31T23:59:59.999",
        ]),
        # New Year 2013, the second after and the second before; July 4th; 2013-01-31 05:15.
        "date_gaps": pa.array([
            1_356_998_400, None, 1_356_998_401, 1_356_998_399, 0, 1_372_896_000, None, 1_359_609_300,
        ]),
    }  # fmt: skip
    inputs = {"date_gaps": {"dtype": "int64"}}
    columns = {
        "date_day": WHEN | {"parts": ["year", "quarter", "month", "week", "day", "day_of_year"]},
        "date_time": WHEN | {"parts": ["second", "minute", "hour", "weekday", "is_weekend"]},
        "date_cycles": WHEN | {"parts": ["year", "month", "hour"], "cyclical": True},
        "date_short_cycles": WHEN | {"parts": ["weekday", "is_weekend", "quarter", "week"], "cyclical": True},
        "date_long_cycles": WHEN | {"parts": ["second", "minute", "day", "day_of_year"], "cyclical": True},
        "date_holidays": WHEN
        | {"parts": ["is_holiday", "days_to_holiday", "days_since_holiday"], "holidays": HOLIDAYS},
        "date_seconds": GAPS | {"since": "2013-01-01", "unit": "seconds", "missing": -0.5},
        "date_days": GAPS | {"since": "2013-01-01T02:00+02:00", "parts": ["month"], "missing": 7},
        "date_weeks": WHEN | {"since": "1970-01-01T00:00:00", "unit": "weeks"},
        "date_gaps_cycle": GAPS
        | {"parts": ["minute", "is_holiday"], "cyclical": True, "holidays": HOLIDAYS, "missing": 9},
    }  # fmt: skip
    transformed = {
        "date_day": [
            [2013, 1, 1, 5, 31, 31], [2013, 1, 1, 1, 1, 1], [2021, 1, 1, 53, 3, 3], [2000, 1, 2, 9, 29, 60],
            [1970, 1, 1, 1, 1, 1], [1969, 4, 12, 1, 31, 365], [1, 1, 1, 1, 1, 1], [9999, 4, 12, 52, 31, 365],
        ],
        "date_time": [
            [9, 15, 5, 3, 0], [0, 0, 0, 1, 0], [59, 59, 23, 6, 1], [0, 0, 12, 1, 0], [0, 0, 0, 3, 0], [0, 30, 19, 2, 0],
            [0, 0, 0, 0, 0], [59, 59, 23, 4, 0],
        ],
        "date_cycles": [
            [2013, *circle((0, 12), (5, 24))], [2013, 0, 1, 0, 1], [2021, *circle((0, 12), (23, 24))],
            [2000, *circle((1, 12), (12, 24))], [1970, 0, 1, 0, 1], [1969, *circle((11, 12), (19, 24))],
            [1, 0, 1, 0, 1], [9999, *circle((11, 12), (23, 24))],
        ],
        "date_short_cycles": [
            [*circle((day, 7)), weekend, *circle((quarter, 4), (week, 53))]
            for day, weekend, quarter, week in (
                (3, 0, 0, 4), (1, 0, 0, 0), (6, 1, 0, 52), (1, 0, 0, 8), (3, 0, 0, 0), (2, 0, 3, 0), (0, 0, 0, 0),
                (4, 0, 3, 51),
            )
        ],
        "date_long_cycles": [
            circle((second, 60), (minute, 60), (day, 31), (day_of_year, 366))
            for second, minute, day, day_of_year in (
                (9, 15, 30, 30), (0, 0, 0, 0), (59, 59, 2, 2), (0, 0, 28, 59), (0, 0, 0, 0), (0, 30, 30, 364),
                (0, 0, 0, 0), (59, 59, 30, 364),
            )
        ],
        # From January 31st 154 days to July 4th, from New Year 30.
        "date_holidays": [
            [0, 154, 30], [1, 0, 0], [0, 366, 366], [0, 366, 366], [0, 366, 366], [0, 366, 366], [0, 366, 366],
            [0, 366, 366],
        ],
        "date_seconds": [0, -0.5, 1, -1, -1_356_998_400, 15_897_600, -0.5, 2_610_900],
        "date_days": [
            [1, 0], [7, 7], [1, 1 / 86_400], [12, -1 / 86_400], [1, -15_706], [7, 184], [7, 7],
            [1, 30 + 18_900 / 86_400],
        ],
        "date_weeks": [
            1_359_609_309 / 604_800, 15_706 / 7, 18_631 / 7 - 1 / 604_800, 951_825_600 / 604_800, 0,
            -(4.5 * 3600) / 604_800, -719_162 / 7, 253_402_300_799 / 604_800,
        ],
        "date_gaps_cycle": [
            [0, 1, 1], [9, 9, 9], [0, 1, 1], [*circle((59, 60)), 0], [0, 1, 0], [0, 1, 1], [9, 9, 9],
            [*circle((15, 60)), 0],
        ],
    }  # fmt: skip
    no_raw = dict.fromkeys(columns, "date has no tf.feature_column over raw rows")


def spec_of(**fields):
    return validate({"columns": [{"name": "x", "kind": "date"} | fields]}, FeatureSpec, "spec")


def test_days_to_and_since_a_holiday_end_at_366(transform):
    column = {"parts": ["days_to_holiday", "days_since_holiday", "is_holiday"], "holidays": ["2013-07-04"]}
    told = {
        "2013-07-04T23:59:59": [0, 0, 1], "2013-07-03T23:59:59": [1, 366, 0], "2013-07-05": [366, 1, 0],
        "2012-07-04": [365, 366, 0], "2012-07-03": [366, 366, 0], "2012-07-02": [366, 366, 0],
        "2014-07-04": [366, 365, 0], "2014-07-06": [366, 366, 0],
    }  # fmt: skip
    assert transform(spec_of(**column), x=list(told))["x"].numpy().tolist() == list(told.values())


def test_a_file_of_holidays_is_the_list_it_holds(tmp_path, transform):
    (tmp_path / "holidays.txt").write_bytes(b"\xef\xbb\xbf2013-07-04\r\n2013-01-01\r\n")
    (tmp_path / "spec.yaml").write_text(
        "columns: [{name: x, kind: date, parts: [is_holiday], holidays_file: holidays.txt}]"
    )
    made = transform(load_spec(tmp_path / "spec.yaml"), x=["2013-01-01", "2013-01-02", "2013-07-04"])
    assert made["x"].numpy().tolist() == [[1], [0], [1]]


@pytest.mark.parametrize(
    ("content", "what", "received"),
    [
        (b"2013-01-01\n1/1/2014\n", "line 2 is no date", "'1/1/2014'"),
        (b"2013-01-01\n\n", "line 2 is no date", "''"),
        (b"", "is not right", "no lines"),
        (b"2013-01-01\n2013-07-04\n2013-01-01", "is not right", "2013-01-01 more than once"),
        (b"\xff", "cannot be read", "'utf-8' codec can't decode byte 0xff"),
    ],
)
def test_a_file_that_cannot_be_one(content, what, received, tmp_path, transform):
    path = tmp_path / "holidays.txt"
    path.write_bytes(content)
    with pytest.raises(SpecError) as error:
        transform(spec_of(parts=["is_holiday"], holidays_file=str(path)), x=["2013-01-01"])
    assert error.value.what == f"columns.x.holidays_file: {what}"
    assert received in error.value.received


@pytest.fixture
def served():
    """(spec, texts a client sends) -> the numbers of its one column."""

    def run(spec, texts):
        return preprocessing_fn(spec)({"x": tf.ragged.constant([[t] for t in texts]).to_sparse()})["x"].numpy().tolist()

    return run


def test_what_a_client_sends_and_is_no_date_is_missing(served):
    assert served(spec_of(parts=["day"], missing=-1), [b"2013-01-31", b"", b"soon"]) == [[31], [-1], [-1]]
    no_date, day = served(spec_of(parts=["day"]), [b"2013-02-29", b"2013-03-01"])
    assert math.isnan(no_date[0])
    assert day == [1]


def test_a_row_that_is_no_date_is_rejected_and_one_that_lacks_it_if_nothing_stands_in():
    def reasons(spec):
        with raw_rows.opened(pa.table({"x": ["2013-02-29", "2013-03-01", None, "NA", ""]})) as sources:
            ((chunk, done),) = raw_rows.parsed(resolve(spec, sources), sources)
        return raw_rows.reasons(chunk, done)

    no_date = {0: "x: '2013-02-29' is no date or time of ISO 8601"}
    lacks = "x is missing, and columns.x says nothing of missing values"
    assert reasons(spec_of(parts=["day"], missing=0)) == no_date
    assert reasons(spec_of(parts=["day"])) == no_date | dict.fromkeys((2, 3, 4), lacks)


@pytest.mark.parametrize(("missing", "needs"), [(None, True), (0.0, False)])
def test_a_row_without_a_value(missing, needs):
    assert Date(name="x", parts=("day",), missing=missing).needs_value("x") is needs


def test_yaml_dates_and_texts_are_the_same(tmp_path):
    (tmp_path / "spec.yaml").write_text(
        "columns: [{name: x, kind: date, since: 2013-01-01, parts: [is_holiday], holidays: [2013-07-04, '2013-12-25']}]"
    )
    (column,) = load_spec(tmp_path / "spec.yaml").columns
    assert column.since == datetime.datetime(2013, 1, 1)
    assert column.holidays == (datetime.date(2013, 7, 4), datetime.date(2013, 12, 25))


HAS = {"parts": ["is_holiday"], "holidays": ["2013-01-01"]}


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({}, "columns.0", "needs parts or since"),
        ({"parts": []}, "columns.0", "needs parts or since"),
        ({"parts": ["fortnight"]}, "columns.0.parts.0", "'year', 'quarter'"),
        ({"parts": ["day", "hour", "day"]}, "columns.0", "parts names day more than once"),
        ({"parts": ["year", "is_weekend"], "cyclical": True}, "columns.0", "cyclical needs a part that comes round"),
        ({"parts": ["day"], "unit": "days"}, "columns.0", "has a unit, which is of the time since, and no since"),
        ({"since": "yesterday"}, "columns.0.since", "Invalid isoformat string: 'yesterday'"),
        ({"since": "2013-01-01", "unit": "months"}, "columns.0.unit", "'seconds', 'minutes'"),
        ({"parts": ["is_holiday"]}, "columns.0", "holidays and the parts that are of them"),
        (HAS | {"parts": ["day"]}, "columns.0", "holidays and the parts that are of them"),
        ({"parts": ["day"], "holidays_file": "f"}, "columns.0", "holidays and the parts that are of them"),
        (HAS | {"holidays_file": "f"}, "columns.0", "has both holidays and holidays_file"),
        (HAS | {"holidays": ["2013-01-01", datetime.date(2013, 1, 1)]}, "columns.0", "names 2013-01-01 more than once"),
        (HAS | {"holidays": []}, "columns.0.holidays", "at least 1 item"),
        (HAS | {"holidays": ["christmas"]}, "columns.0.holidays.0", "Invalid isoformat string: 'christmas'"),
        (HAS | {"holidays": [2013]}, "columns.0.holidays.0", "a date, such as 2013-11-28"),
        (HAS | {"holidays": [datetime.datetime(2013, 1, 1)]}, "columns.0.holidays.0", "a date, such as 2013-11-28"),
        ({"parts": ["day"], "missing": NAN}, "columns.0.missing", "a finite number"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        spec_of(**fields)
    assert error.value.what == f"spec: {place}: is not right"
