"""Times in the transform graph: ISO 8601 text or Unix seconds -> the parts of the Gregorian calendar, in int64.

A time is whole seconds since 1970-01-01 00:00 UTC, as Unix counts them, of the years 1 to 9999. A text without a
zone is UTC; a fraction of a second is cut off.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator

from tfloom.feature_specs.numbers import MISSING_TEXTS

MISSING = -(2**63)
"""Stands for no time."""

DAY = 86_400

Part = Literal[
    "year", "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute", "second", "is_weekend"
]  # fmt: skip

NUMBERS: Mapping[str, range] = {
    "quarter": range(1, 5), "month": range(1, 13), "week": range(1, 54), "day": range(1, 32),
    "day_of_year": range(1, 367), "weekday": range(7), "hour": range(24), "minute": range(60), "second": range(60),
    "is_weekend": range(2),
}  # fmt: skip
"""The numbers that a part can be; a year can be any."""

WORDS: Mapping[str, tuple[str, ...]] = {
    "month": (
        "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
        "December",
    ),
    "weekday": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "is_weekend": ("weekday", "weekend"),
}  # fmt: skip
"""What the numbers of a part are called, where they have names."""

PERIODIC = tuple(part for part in NUMBERS if part != "is_weekend")
"""The parts that come round again."""

_FIRST, _END = -62_135_596_800, 253_402_300_800
ISO = (
    r"^(\d{4})-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"(?:[T ]([01]\d|2[0-3]):([0-5]\d)(?::([0-5]\d)(?:[.,]\d+)?)?(?:Z|([+-])([01]\d|2[0-3])(?::?([0-5]\d))?)?)?$"
)
"""A time as text, for RE2 and Python: its year, month, day, hour, minute, second; its offset's sign, hours, minutes."""


def _date(value: Any) -> datetime.date:
    if isinstance(value, str):
        return datetime.date.fromisoformat(value)
    if not isinstance(value, datetime.date) or isinstance(value, datetime.datetime):
        raise ValueError("a date, such as 2013-11-28")
    return value


Date = Annotated[datetime.date, BeforeValidator(_date)]
"""A date as a spec names it."""


class Calendar:
    """The parts of times, of the proleptic Gregorian calendar, each under its name in `Part`.

    seconds: int64 of any shape, a tensor or an array; so are the parts. Those of MISSING mean nothing.
    """

    def __init__(self, seconds: Any) -> None:
        self.days = seconds // DAY
        """Since 1970-01-01."""
        self._second_of_day = seconds % DAY

    @cached_property
    def _date(self) -> tuple[Any, Any, Any]:
        return _civil(self.days)

    @property
    def year(self) -> Any:
        """1 to 9999."""
        return self._date[0]

    @property
    def quarter(self) -> Any:
        """1 to 4."""
        return (self.month + 2) // 3

    @property
    def month(self) -> Any:
        """1 to 12."""
        return self._date[1]

    @property
    def week(self) -> Any:
        """1 to 53, of ISO 8601: a week belongs to the year of its Thursday."""
        thursday = self.days - self.weekday + 3
        return (thursday - days(_civil(thursday)[0], 1, 1)) // 7 + 1

    @property
    def day(self) -> Any:
        """1 to 31."""
        return self._date[2]

    @property
    def day_of_year(self) -> Any:
        """1 to 366."""
        return self.days - days(self.year, 1, 1) + 1

    @property
    def weekday(self) -> Any:
        """0 for Monday to 6 for Sunday."""
        return (self.days + 3) % 7

    @property
    def hour(self) -> Any:
        """0 to 23."""
        return self._second_of_day // 3600

    @property
    def minute(self) -> Any:
        """0 to 59."""
        return self._second_of_day // 60 % 60

    @property
    def second(self) -> Any:
        """0 to 59."""
        return self._second_of_day % 60

    @property
    def is_weekend(self) -> Any:
        """1 on Saturday and Sunday, else 0."""
        return self.weekday // 5


def days(year: Any, month: Any, day: Any) -> Any:
    """Days since 1970-01-01.

    Source: `days_from_civil` of Hinnant, "chrono-compatible low-level date algorithms", in operators alone.
    """
    # A year begins in March, so that the leap day is its last; 400 of them have 146,097 days.
    year = year - (14 - month) // 12
    day_of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return 365 * year + year // 4 - year // 100 + year // 400 + day_of_year - 719_468


def _civil(since_1970: Any) -> tuple[Any, Any, Any]:
    """Days since 1970-01-01 -> (year, month, day): `civil_from_days` of the same source."""
    since_year_0 = since_1970 + 719_468
    day = since_year_0 % 146_097
    year = (day - day // 1_460 + day // 36_524 - day // 146_096) // 365
    day_of_year = day - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    return (
        year + since_year_0 // 146_097 * 400 + month // 10,
        (month + 2) % 12 + 1,
        day_of_year - (153 * month + 2) // 5 + 1,
    )


def seconds(values: Any) -> Any:
    """The times of ISO 8601 texts, string [N], or Unix seconds, int64 [N]: int64 [N], MISSING where there is none."""
    import tensorflow as tf

    if values.dtype == tf.string:
        values = _seconds_of_texts(values)
    return tf.where((values >= _FIRST) & (values < _END), values, MISSING)


def _seconds_of_texts(texts: Any) -> Any:
    import tensorflow as tf

    texts = tf.strings.regex_replace(tf.strings.strip(texts), r"^(\d{4})(\d{2})(\d{2})($|[T ])", r"\1-\2-\3\4")
    well_formed = tf.strings.regex_full_match(texts, ISO)
    texts = tf.where(well_formed, texts, "1970-01-01")
    # A field that is left out is 0; the sign of an offset belongs to its hours and its minutes.
    fields = tf.strings.split(tf.strings.regex_replace(texts, ISO, r"\1 \2 \3 0\4 0\5 0\6 \70\8 \70\9"), " ")
    numbers = tf.strings.to_number(fields.to_tensor(shape=[None, 8]), tf.int64)
    year, month, day, hour, minute, second, hours_ahead, minutes_ahead = tf.unstack(numbers, axis=1)
    date = days(year, month, day)
    there_is_one = well_formed & (year > 0) & (_civil(date)[2] == day)
    ahead = 60 * (60 * hours_ahead + minutes_ahead)
    return tf.where(there_is_one, DAY * date + 60 * (60 * hour + minute) + second - ahead, MISSING)


def checked(values: pa.Array, name: str) -> tuple[pa.Array, Mapping[int, str]]:
    """Values of an input of times, binary or int64, null where missing; by row, why one is no time of `seconds`."""
    import tensorflow as tf

    filler: bytes | int = 0
    if pa.types.is_binary(values.type):
        missing = pc.is_in(values, value_set=pa.array(MISSING_TEXTS, values.type))
        values, filler = pc.if_else(missing, pa.scalar(None, values.type), values), b"1970-01-01"
    found = seconds(tf.constant(pc.fill_null(values, filler).to_numpy(zero_copy_only=False)))
    return values, {int(row): _reason(name, values[int(row)].as_py()) for row in tf.where(found == MISSING)[:, 0]}


def _reason(name: str, value: bytes | int) -> str:
    if isinstance(value, bytes):
        return f"{name}: {value.decode('utf-8', 'replace')!r} is no date or time of ISO 8601"
    return f"{name}: {value} is no time of the years 1 to 9999, in seconds since 1970"
