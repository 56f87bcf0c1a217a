import datetime

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tfloom.feature_specs import calendar

EPOCH = datetime.datetime(1970, 1, 1)
SECOND = datetime.timedelta(seconds=1)

# Every 61st day there is, and every day around the ends of years, leap years of each rule among them.
DAYS = sorted(
    {datetime.date.fromordinal(n) for n in range(1, datetime.date.max.toordinal() + 1, 61)}
    | {
        datetime.date(year, month, day)
        for year in (1, 4, 100, 400, 1582, 1600, 1899, 1900, *range(1968, 2030), 2100, 9999)
        for month, first, last in ((1, 1, 5), (2, 27, 28), (3, 1, 2), (12, 26, 31))
        for day in range(first, last + 1)
    }
    | {datetime.date(year, 2, 29) for year in (4, 400, 1600, 1968, 2000, 2024, 9996)}
)
TIMES = [
    datetime.datetime.combine(day, datetime.time(i % 24, 7 * i % 60, 59 * i % 60, i)) for i, day in enumerate(DAYS)
]
OF_PYTHON = {
    "year": lambda t: t.year,
    "quarter": lambda t: (1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4)[t.month - 1],
    "month": lambda t: t.month,
    "week": lambda t: t.isocalendar().week,
    "day": lambda t: t.day,
    "day_of_year": lambda t: t.timetuple().tm_yday,
    "weekday": lambda t: t.weekday(),
    "hour": lambda t: t.hour,
    "minute": lambda t: t.minute,
    "second": lambda t: t.second,
    "is_weekend": lambda t: t.weekday() in (5, 6),
}


@pytest.fixture(scope="module")
def read():
    """The seconds of TIMES, read from their texts."""
    return calendar.seconds(tf.constant([t.isoformat() for t in TIMES]))


def test_a_text_is_its_seconds_since_1970(read):
    assert read.numpy().tolist() == [(t - EPOCH) // SECOND for t in TIMES]


@pytest.mark.parametrize("part", calendar.Part.__args__)
def test_a_part_is_that_of_python(part, read):
    made = getattr(calendar.Calendar(read), part)
    assert made.dtype == tf.int64
    told = [int(OF_PYTHON[part](t)) for t in TIMES]
    assert made.numpy().tolist() == told
    if part != "year":
        assert set(told) == set(calendar.NUMBERS[part])


@given(
    st.datetimes(),
    st.integers(-23 * 60 - 59, 23 * 60 + 59),
)
def test_an_offset_is_subtracted(time, minutes):
    zone = datetime.timezone(datetime.timedelta(minutes=minutes))
    local = time.replace(tzinfo=zone)
    told = (time - EPOCH) // SECOND - 60 * minutes
    first, last = ((t - EPOCH) // SECOND for t in (datetime.datetime.min, datetime.datetime.max))
    expected = told if first <= told <= last else calendar.MISSING
    assert calendar.seconds(tf.constant([local.isoformat(), local.isoformat(" ")])).numpy().tolist() == [expected] * 2


# 2013-01-31 05:15 UTC
AT = 1_359_609_300


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2013-01-31", AT - 5 * 3600 - 15 * 60),
        ("20130131", AT - 5 * 3600 - 15 * 60),
        ("2013-01-31T05:15", AT),
        ("2013-01-31 05:15", AT),
        ("20130131T05:15:00", AT),
        ("2013-01-31T05:15:09", AT + 9),
        ("2013-01-31T05:15:09.999999999", AT + 9),
        ("2013-01-31T05:15:09,5Z", AT + 9),
        ("2013-01-31T05:15Z", AT),
        ("2013-01-31T00:15-05", AT),
        ("2013-01-31T00:15:00-0500", AT),
        ("2013-01-31 10:45:00.000+05:30", AT),
        ("2013-01-31T02:45-02:30", AT),
        ("  2013-01-31T05:15 ", AT),
        ("1969-12-31T23:59:59.9", -1),
    ],
)  # fmt: skip
def test_ways_to_write_a_time(text, seconds):
    assert calendar.seconds(tf.constant([text])).numpy().tolist() == [seconds]


NO_TIMES = [
    "", "x", "2013", "2013-01", "2013-1-31", b"\xff", "2013-0131", "201301", "2013-13-01", "2013-00-01", "2013-01-00",
    "2013-01-32", "2013-04-31", "2013-02-29", "1900-02-29", "2013-01-31T", "2013-01-31T05", "2013-01-31T24:00",
    "2013-01-31T05:60",
    "2013-01-31T05:15:60", "2013-01-31T05:15+24:00", "2013-01-31Z", "2013-01-31T05:15 Z", "0000-12-31", "10000-01-01",
    "0000-12-31T23:30-05:00", "0001-01-01T00:00+00:01", "9999-12-31T23:59:59-00:01", "-2013-01-31", "31.01.2013",
    "1/31/2013", "2013-01-31\n2013-01-31", "٢٠١٣-٠١-٣١", "2013-01-31T05:15:00.", "05:15:00",
]  # fmt: skip


@pytest.mark.parametrize("text", NO_TIMES)
def test_what_is_no_time(text):
    assert calendar.seconds(tf.constant([text, "1970-01-02"])).numpy().tolist() == [calendar.MISSING, 86_400]


def test_seconds_since_1970_as_they_are():
    first, last = ((t - EPOCH) // SECOND for t in (datetime.datetime.min, datetime.datetime.max))
    given = [0, -1, AT, first, last, first - 1, last + 1, -(2**63), 2**63 - 1]
    assert calendar.seconds(tf.constant(given, tf.int64)).numpy().tolist() == (
        [0, -1, AT, first, last] + [calendar.MISSING] * 4
    )


def test_ingest_tells_what_is_missing_from_what_is_no_time():
    values, reasons = calendar.checked(pa.array([b"2013-01-31", None, b"", b"NA", b"2013-02-29", b"\xff"]), "when")
    assert values.to_pylist() == [b"2013-01-31", None, None, None, b"2013-02-29", b"\xff"]
    assert reasons == {
        4: "when: '2013-02-29' is no date or time of ISO 8601",
        5: "when: '\ufffd' is no date or time of ISO 8601",
    }
    values, reasons = calendar.checked(pa.array([None, -1, AT * 1000]), "when")
    assert values.to_pylist() == [None, -1, AT * 1000]
    assert reasons == {2: "when: 1359609300000 is no time of the years 1 to 9999, in seconds since 1970"}


@pytest.mark.parametrize("kind", [pa.binary(), pa.int64()])
def test_ingest_of_nothing(kind):
    for values in (pa.array([], kind), pa.array([None, None], kind)):
        assert calendar.checked(values, "when") == (values, {})


def test_days_of_a_date():
    for day in DAYS[::50]:
        assert calendar.days(day.year, day.month, day.day) == (day - EPOCH.date()).days
    years = np.int64([2000, 1900])
    assert (calendar.days(years, 3, 1) - calendar.days(years, 2, 28)).tolist() == [2, 1]
