"""`date`: a date or a time, as numbers."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs import calendar, storage
from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Dtype
from tfloom.feature_specs.times import Time

_UNITS = {"seconds": 1, "minutes": 60, "hours": 3_600, "days": 86_400, "weeks": 604_800}
"""In seconds."""

_FAR = 366
"""The largest number of days to a holiday, or since one."""

_HOLIDAYS = ("is_holiday", "days_to_holiday", "days_since_holiday")


class Date(Column):
    """A date or a time in UTC as numbers, float32 [B, D]: its parts in the order they are named, then what elapsed.

    A row whose text is no date is rejected; of a client it is missing.

    parts: `year`, `quarter` (1 to 4), `month` (1 to 12), `week` (1 to 53, of ISO), `day` (1 to 31), `day_of_year` (1
      to 366), `weekday` (0 for Monday to 6), `hour`, `minute`, `second`, `is_weekend` (0 or 1); of holidays
      `is_holiday` (0 or 1), `days_to_holiday` and `days_since_holiday` (0 on one, 366 at most).
    cyclical: two numbers, sine and cosine, for each part that comes round again (from quarter to second): of
      2 pi (number - first) / (how many there are), where a month has 31 days and a year 366 days and 53 weeks.
    since: the time from which elapsed time is counted, negative before it; without a zone it is UTC.
    unit: of this elapsed time, `seconds`, `minutes`, `hours`, `days` or `weeks`; left out, days.
    holidays: their dates.
    holidays_file: a text file with such a date a line.
    missing: what each number is where there is no date. Without it a row that lacks the date is rejected.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    file_fields: ClassVar[tuple[str, ...]] = ("holidays_file",)

    kind: Literal["date"] = "date"
    source: str | None = None
    parts: tuple[calendar.Part | Literal["is_holiday", "days_to_holiday", "days_since_holiday"], ...] = ()
    cyclical: bool = False
    since: Time | None = None
    unit: Literal["seconds", "minutes", "hours", "days", "weeks"] | None = None
    holidays: Annotated[tuple[calendar.Date, ...], Field(min_length=1)] | None = None
    holidays_file: str | None = None
    missing: FiniteFloat | None = None

    @model_validator(mode="after")
    def _each_field_says_something(self) -> Date:
        if not self.parts and self.since is None:
            raise ValueError("needs parts or since, one of the two or both")
        if repeated := next((part for part in self.parts if self.parts.count(part) > 1), None):
            raise ValueError(f"parts names {repeated} more than once")
        if self.cyclical and not any(part in calendar.PERIODIC for part in self.parts):
            raise ValueError(f"cyclical needs a part that comes round again: {', '.join(calendar.PERIODIC)}")
        if self.unit is not None and self.since is None:
            raise ValueError("has a unit, which is of the time since, and no since")
        given = sum(holidays is not None for holidays in (self.holidays, self.holidays_file))
        if given == 2:
            raise ValueError("has both holidays and holidays_file, at most one of the two is possible")
        if bool(given) != any(part in _HOLIDAYS for part in self.parts):
            raise ValueError(f"holidays and the parts that are of them, {', '.join(_HOLIDAYS)}, need each other")
        if self.holidays and len(set(self.holidays)) < len(self.holidays):
            raise ValueError(f"holidays names {_repeated(self.holidays)} more than once")
        return self

    def needs_value(self, name: str) -> bool:
        return self.missing is None

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        return calendar.checked(values, *self.inputs())

    @property
    def transformed_type(self) -> Transformed:
        twice = sum(self.cyclical and part in calendar.PERIODIC for part in self.parts)
        return Transformed("float32", len(self.parts) + twice + (self.since is not None))

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        seconds = values.seconds(*self.inputs())
        missing = seconds == calendar.MISSING
        seconds = tf.where(missing, tf.zeros_like(seconds), seconds)
        date = calendar.Calendar(seconds)
        numbers = [tf.cast(x, tf.float32) for part in self.parts for x in self._of_part(part, date)]
        if self.since is not None:
            since = (self.since - datetime.datetime(1970, 1, 1)) // datetime.timedelta(seconds=1)
            # In float64, rounded once.
            elapsed = tf.cast(seconds - since, tf.float64) / _UNITS[self.unit or "days"]
            numbers.append(tf.cast(elapsed, tf.float32))
        absent = tf.constant(math.nan if self.missing is None else self.missing, tf.float32)
        return tf.where(missing[:, None], absent, tf.stack(numbers, axis=1))

    def _of_part(self, part: str, date: calendar.Calendar) -> list[Any]:
        """One number for each row, of any dtype; a cycle has two."""
        if part in _HOLIDAYS:
            return [self._of_holidays(part, date.days)]
        number = getattr(date, part)
        if not (self.cyclical and part in calendar.PERIODIC):
            return [number]
        return _on_a_circle(number, calendar.NUMBERS[part])

    def _of_holidays(self, part: str, day: Any) -> Any:
        import tensorflow as tf

        # One long before and one long after: there is always a holiday before a day, and one after it.
        epoch = datetime.date(1970, 1, 1)
        listed = [-(2**40), *sorted((holiday - epoch).days for holiday in self._holidays()), 2**40]
        days = tf.constant(listed, tf.int64)
        if part == "days_since_holiday":
            return tf.minimum(day - tf.gather(days, tf.searchsorted(days, day, side="right") - 1), _FAR)
        to_go = tf.gather(days, tf.searchsorted(days, day)) - day
        return to_go == 0 if part == "is_holiday" else tf.minimum(to_go, _FAR)

    def _holidays(self) -> tuple[datetime.date, ...]:
        """The holidays, read from their file where they are in one."""
        if self.holidays_file is None:
            return self.holidays or ()
        place, path = f"columns.{self.name}.holidays_file", Path(self.holidays_file)
        try:
            lines = storage.fetch(path).read_text("utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"{place}: cannot be read", expected="UTF-8 text", received=f"{path}: {error}") from None
        days: list[datetime.date] = []
        for number, line in enumerate(lines, 1):
            try:
                days.append(datetime.date.fromisoformat(line.strip()))
            except ValueError:
                raise SpecError(f"{place}: line {number} is no date", expected="a date a line, such as 2013-11-28",
                                received=repr(line)) from None  # fmt: skip
        if not days or len(set(days)) < len(days):
            what = f"{_repeated(days)} more than once" if days else "no lines"
            raise SpecError(f"{place}: is not right", expected="a date a line, each once", received=f"{path}: {what}")
        return tuple(days)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name, shape=self.transformed_type.dimension)


def _repeated(dates: Sequence[datetime.date]) -> datetime.date | None:
    return next((date for date in dates if dates.count(date) > 1), None)


def _on_a_circle(number: Any, numbers: range) -> list[Any]:
    """[sine, cosine] of where a number stands, looked up: of float64 rounded once, whoever computes it."""
    import tensorflow as tf

    angles = [math.tau * i / len(numbers) for i in range(len(numbers))]
    index = number - numbers[0]
    return [tf.gather(tf.constant([f(angle) for angle in angles], tf.float32), index) for f in (math.sin, math.cos)]
