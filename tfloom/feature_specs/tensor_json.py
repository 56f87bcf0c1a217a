"""Tensors in the words of TF Serving's REST API: nested lists of numbers, booleans and strings.

Bytes are ``{"b64": ...}``, text is a JSON string; NaN, Infinity and -Infinity stand as Python's `json` writes and reads
them. Dtypes are TensorFlow's by name, such as ``"float32"``; strings are numpy arrays of bytes, dtype object.
"""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from tfloom.feature_specs.errors import DataError

Shape = Sequence[int | None] | None
"""The shape of a tensor; None for a dimension of any size, and for a tensor of any rank."""

_INTEGERS = ("int64", "int32", "int16", "int8", "uint8", "uint32", "uint64")
_FLOATS = ("float32", "float64")
_LARGEST_WHOLE = {"float32": 2**24 - 1, "float64": 2**53 - 1}
"""TF Serving takes no larger JSON integer for a float, for the next one would be rounded."""


def encode(tensor: np.ndarray, binary: bool = False) -> Any:
    """A tensor of any dtype and shape -> nested lists, or one value for a scalar; `decode` gives the same bits back.

    binary: write every string as ``{"b64": ...}``; without it only those that are not UTF-8.
    """
    if tensor.dtype == np.float32:
        tensor = _shortest(tensor)
    elif tensor.dtype.kind in "OSU":
        as_json = _binary if binary else _text
        tensor = _objects([as_json(_as_bytes(value)) for value in tensor.ravel().tolist()], tensor.shape)
    return tensor.tolist()


def decode(value: Any, dtype: str, shape: Shape = None, name: str = "value") -> np.ndarray:
    """What `json` read -> a tensor of this dtype and shape.

    Args:
      value: nested lists, or one value for a scalar.
      shape: what the value has to fit. Where a list is empty, its dimensions inside are taken from here.
      name: what an error calls it.

    Raises:
      DataError: a ragged list, another rank or size, or a value that the dtype does not have.
    """
    leaves, found = _flat(value, name)
    if shape is not None:
        if 0 in found and len(found) < len(shape):
            found += [size or 0 for size in shape[len(found) :]]
        if len(found) != len(shape) or any(w is not None and w != f for w, f in zip(shape, found, strict=True)):
            raise DataError(f"{name}: is of another shape", expected=shape_text(shape), received=shape_text(found))
    return _typed(leaves, dtype, name).reshape(found)


def shape_text(shape: Shape) -> str:
    """A shape for a reader: ``[None, 3]``; ``any shape`` where even the rank is open."""
    return "any shape" if shape is None else str(list(shape))


def _flat(value: Any, name: str) -> tuple[list[Any], list[int]]:
    """(the values in row-major order, the shape). Raises DataError where lists at one depth differ in length."""
    shape: list[int] = []
    level = [value]
    while any(isinstance(part, list) for part in level):
        sizes = {len(part) if isinstance(part, list) else None for part in level}
        if len(sizes) > 1:
            told = sorted("a value" if size is None else f"a list of {size}" for size in sizes)
            raise DataError(f"{name}: is ragged at depth {len(shape)}", expected="lists of one length at each depth",
                            received=", ".join(told[:4]))  # fmt: skip
        shape.append(len(level[0]))
        level = list(chain.from_iterable(level))
    return level, shape


def _typed(leaves: list[Any], dtype: str, name: str) -> np.ndarray:
    if dtype == "string":
        return _objects([_from_json(leaf, name) for leaf in leaves], (len(leaves),))
    if dtype == "bool":
        return np.array(_all_of(leaves, {bool}, dtype, name), np.bool_)
    if dtype in _INTEGERS:
        try:
            return np.array(_all_of(leaves, {int}, dtype, name), dtype)
        except OverflowError:
            limits = np.iinfo(dtype)
            out = next(leaf for leaf in leaves if not limits.min <= leaf <= limits.max)
            raise DataError(f"{name}: is out of the range of {dtype}", expected=f"{limits.min} to {limits.max}",
                            received=str(out)) from None  # fmt: skip
    if dtype in _FLOATS:
        return _floats(_all_of(leaves, {int, float}, dtype, name), dtype, name)
    known = ", ".join(("string", "bool", *_INTEGERS, *_FLOATS))
    raise DataError(f"{name}: {dtype} has no JSON form", expected=f"one of: {known}", received=dtype)


def _all_of(leaves: list[Any], types: set[type], dtype: str, name: str) -> list[Any]:
    """The leaves, all of these types: True is no number and 1 no boolean, which numpy would not mind."""
    if not set(map(type, leaves)) <= types:
        at, wrong = next((i, leaf) for i, leaf in enumerate(leaves) if type(leaf) not in types)
        raise _wrong(name, at, dtype, wrong)
    return leaves


def _floats(leaves: list[Any], dtype: str, name: str) -> np.ndarray:
    for at, leaf in enumerate(leaves):
        if type(leaf) is int and abs(leaf) > _LARGEST_WHOLE[dtype]:
            raise DataError(f"{name}: value {at} cannot be {dtype} without loss of precision",
                            expected=f"a whole number of at most {_LARGEST_WHOLE[dtype]}, or one with a decimal point",
                            received=str(leaf)[:80])  # fmt: skip
    exact = np.array(leaves, np.float64)
    with np.errstate(over="ignore"):
        result = exact.astype(dtype)
    lost = np.flatnonzero(np.isfinite(exact) & ~np.isfinite(result))
    if lost.size:
        raise DataError(f"{name}: value {lost[0]} is out of the range of {dtype}",
                        expected=f"at most {np.finfo(dtype).max}", received=str(exact[lost[0]]))  # fmt: skip
    return result


def _from_json(leaf: Any, name: str) -> bytes:
    try:
        if isinstance(leaf, str):
            return leaf.encode()
        if isinstance(leaf, dict) and leaf.keys() == {"b64"} and isinstance(leaf["b64"], str):
            return base64.b64decode(leaf["b64"] + "=" * (-len(leaf["b64"]) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise DataError(f"{name}: cannot be decoded", expected='text, or {"b64": "<base64>"}',
                        received=str(error)) from None  # fmt: skip
    raise _wrong(name, None, 'a string or {"b64": "<base64>"}', leaf)


def _wrong(name: str, at: int | None, expected: str, leaf: Any) -> DataError:
    place = name if at is None else f"{name}: value {at}"
    return DataError(f"{place} is not {expected}", expected=expected, received=f"{leaf!r}"[:80])


def _shortest(values: np.ndarray) -> np.ndarray:
    """float32 -> the float64 that prints shortest and is rounded to the same float32: 0.1, not 0.10000000149011612."""
    short = values.astype("U").astype(np.float64)
    with np.errstate(over="ignore"):
        same = (short.astype(np.float32) == values) | np.isnan(values)
    return np.where(same, short, values.astype(np.float64))


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return _binary(value)


def _binary(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}


def _as_bytes(value: bytes | str) -> bytes:
    return value.encode() if isinstance(value, str) else value


def _objects(values: list[Any], shape: Sequence[int]) -> np.ndarray:
    """An object array; np.array would look for structure inside the values."""
    result = np.empty(math.prod(shape), object)
    result[:] = values
    return result.reshape(shape)
