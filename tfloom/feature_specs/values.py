"""Values that a spec names and a column of the data holds, told apart by their text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import Annotated

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field, StrictBool

Value = StrictBool | int | Annotated[str, Field(min_length=1)]
"""A value as a spec names it. True stands for what YAML reads as true, and for 1."""

_TRUE = ("true", "True", "TRUE", "yes", "Yes", "YES", "on", "On", "ON", "1")
_FALSE = ("false", "False", "FALSE", "no", "No", "NO", "off", "Off", "OFF", "0")


def spellings(value: bool | int | str) -> tuple[str, ...]:
    """The texts that mean a value."""
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    return (str(value),)


def repeated(groups: Sequence[Sequence[Value]]) -> Iterator[Value]:
    """The values that one before them means already."""
    seen: set[str] = set()
    for value in (value for group in groups for value in group):
        if not seen.isdisjoint(spellings(value)):
            yield value
        seen.update(spellings(value))


def group_of(values: pa.Array, groups: Sequence[Sequence[Value]]) -> pa.Array:
    """int64 [rows]: the index of the group that names a value, null where none does."""
    index = {text: i for i, group in enumerate(groups) for value in group for text in spellings(value)}
    if pa.types.is_boolean(values.type):
        index = {words[0]: i for text, i in index.items() for words in (_TRUE, _FALSE) if text in words}
    found = pc.index_in(texts(values), value_set=pa.array(list(index), pa.string()))
    return pc.take(pa.array(list(index.values()), pa.int64()), found)


def texts(values: pa.Array) -> pa.Array:
    """The text of each value, that of 1.0 and of the decimal 1.00 is 1; null where it is missing or NaN.

    It depends on the value alone, not on the others of the array.
    """
    kind = values.type
    if pa.types.is_nested(kind) or pa.types.is_interval(kind):
        return pa.array([None if value is None else repr(value) for value in values.to_pylist()], pa.string())
    if pa.types.is_decimal(kind):
        return pa.array([None if value is None else _decimal(value) for value in values.to_pylist()], pa.string())
    if not pa.types.is_floating(kind):
        return pc.cast(values, pa.string())
    values = pc.cast(values, pa.float32()) if pa.types.is_float16(kind) else values
    values = pc.if_else(pc.is_nan(values), None, values)
    whole = pc.and_(pc.equal(pc.floor(values), values), pc.less(pc.abs(values), 2.0**63))
    # Not checked: a cast that is refuses whole numbers of 2^53 and more.
    integers = pc.cast(pc.if_else(whole, values, None), pa.int64(), safe=False)
    return pc.coalesce(pc.cast(integers, pa.string()), pc.cast(values, pa.string()))


def _decimal(value: Decimal) -> str:
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
