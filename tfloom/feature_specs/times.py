"""Times in a spec and in Arrow columns: UTC, and so are those that name no zone."""

from __future__ import annotations

import datetime
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BeforeValidator

from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.numbers import is_missing, is_text


def moment(value: Any) -> datetime.datetime:
    """A date, a time or its ISO 8601 text, as a time of UTC without zone. Raises ValueError for anything else."""
    if isinstance(value, str):
        value = datetime.datetime.fromisoformat(value)
    elif isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        value = datetime.datetime.combine(value, datetime.time())
    if not isinstance(value, datetime.datetime):
        raise ValueError("a date or a time, such as 2013-11-01 or 2013-11-01T06:00")
    return value if value.tzinfo is None else value.astimezone(datetime.UTC).replace(tzinfo=None)


Time = Annotated[datetime.datetime, BeforeValidator(moment)]


def times(values: pa.Array, place: str) -> tuple[pa.Array, pa.Array]:
    """(timestamp[us], bad) [rows]: dates, times and ISO 8601 texts; null where missing or bad, a text that is no time.

    place: what an error calls the column.

    Raises:
      DataError: where the column is of a type that holds no times.
    """
    kind = values.type
    if is_text(kind):
        return _from_texts(pc.if_else(is_missing(values), None, values))
    if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind) or pa.types.is_null(kind)):
        raise DataError(f"{place}: holds no times", expected="dates or times, ISO 8601 where text", received=str(kind))
    found = pc.cast(pc.cast(values, pa.timestamp("us", getattr(kind, "tz", None)), safe=False), pa.timestamp("us"))
    return found, pa.repeat(False, len(values))


def _from_texts(values: pa.Array) -> tuple[pa.Array, pa.Array]:
    try:
        return pc.cast(values, pa.timestamp("us")), pa.repeat(False, len(values))
    except pa.ArrowInvalid:  # a zone, nanoseconds, or no time
        found = pa.array([None if text is None else _moment_or_none(text) for text in values.to_pylist()],
                         pa.timestamp("us"))  # fmt: skip
        return found, pc.and_(pc.is_valid(values), pc.is_null(found))


def _moment_or_none(text: str) -> datetime.datetime | None:
    try:
        return moment(text)
    except ValueError:
        return None
