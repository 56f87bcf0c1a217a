"""Numbers out of Arrow columns, text among them: CSV says everything in text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

MISSING_TEXTS = ("", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "null", "None", "none")
"""What stands for a missing number in text, as pandas reads it."""


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text."""
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def is_missing(values: pa.Array) -> pa.Array:
    """bool [rows]: null, NaN, or for text one of `MISSING_TEXTS`."""
    null = pc.is_null(values, nan_is_null=True)
    return (
        pc.or_(null, pc.is_in(values, value_set=pa.array(MISSING_TEXTS, values.type))) if is_text(values.type) else null
    )


def numbers(values: pa.Array, kind: pa.DataType) -> tuple[pa.Array, pa.Array]:
    """(numbers, bad): the values as `kind`, float64 or int64, null where missing or bad; bad where they are none.

    An integral float is an int64; a text is read as Python's `float` reads it, but for `_`: 1_2 is a code.
    """
    present = pc.if_else(is_missing(values), None, values)
    if pa.types.is_boolean(values.type):
        present = pc.cast(present, pa.int8())
    try:
        if is_text(values.type) and pc.any(pc.match_substring(present, "x", ignore_case=True)).as_py():
            raise pa.ArrowInvalid("0x1F, an integer to Arrow alone")
        result = pc.cast(present, kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        result = pa.array([_number(v, kind) for v in present.to_pylist()], kind)
    if pa.types.is_floating(kind) and is_text(values.type):  # 'nan' in other spellings
        result = pc.if_else(pc.is_nan(result), None, result)
        present = pc.if_else(_spelled_nan(present), None, present)
    return result, pc.and_(pc.is_valid(present), pc.is_null(result))


def _spelled_nan(values: pa.Array) -> pa.Array:
    return pc.fill_null(
        pc.is_in(pc.utf8_lower(values), value_set=pa.array(["nan", "-nan", "+nan"], values.type)), False
    )


def _number(value: object, kind: pa.DataType) -> float | int | None:
    if value is None or (isinstance(value, str) and "_" in value):
        return None
    try:
        if pa.types.is_floating(kind):
            return float(value)  # type: ignore[arg-type]
        # int() first: float() would lose the last digits of a large one.
        integer = int(value) if isinstance(value, str) and value.strip("+- ").isdigit() else _integral(float(value))  # type: ignore[arg-type]
        return integer if integer is not None and -(2**63) <= integer < 2**63 else None
    except (TypeError, ValueError):
        return None


def _integral(number: float) -> int | None:
    return int(number) if number.is_integer() else None
