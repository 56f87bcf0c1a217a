"""`where`: which rows are taken, in a closed grammar of comparisons, evaluated over Arrow.

where: "cancelled == 0 and (carrier in ('UA', 'AA') or not distance < 100) and `tail-number` is not missing"
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs import grammar
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.numbers import is_missing, is_text, numbers
from tfloom.feature_specs.times import moment, times
from tfloom.feature_specs.values import group_of, texts

_JOIN: dict[type, Callable[..., Any]] = {ast.And: pc.and_kleene, ast.Or: pc.or_kleene}
_GRAMMAR = (
    "comparisons of a column with a value (==, !=, <, <=, >, >=, in (...), is missing, is not missing), and, or, not; "
    "a number, a boolean or a text is a value; `...` around the name of a column that is no plain word"
)


def parse(text: str) -> ast.expr:
    """The expression as a tree. Raises SpecError where it is outside the grammar."""
    try:
        return grammar.parse(text, names)
    except grammar.UnreadableError as error:
        raise SpecError("where: not an expression of its grammar", expected=_GRAMMAR, received=repr(text)) from error


def names(tree: ast.expr) -> tuple[str, ...]:
    """The columns of the data that an expression reads."""
    match tree:
        case ast.BoolOp(values=values):
            return tuple(dict.fromkeys(n for v in values for n in names(v)))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return names(operand)
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]):
            if isinstance(op, ast.Is | ast.IsNot):
                if isinstance(right, ast.Constant) and right.value is None:
                    return (name,)
            elif isinstance(op, ast.In | ast.NotIn) == isinstance(right, ast.Tuple | ast.List):
                grammar.values(right)
                return (name,)
    raise grammar.OutsideError(tree)


def evaluate(tree: ast.expr, table: Mapping[str, pa.Array]) -> pa.Array:
    """bool [rows], no nulls: a comparison with a missing value is not true, nor is its `not`.

    Raises:
      DataError: where a column holds what cannot be compared with the value.
    """
    return pc.fill_null(_evaluate(tree, table), False)


def _evaluate(tree: ast.expr, table: Mapping[str, pa.Array]) -> pa.Array:
    match tree:
        case ast.BoolOp(op=op, values=values):
            join = _JOIN[type(op)]
            result = _evaluate(values[0], table)
            for value in values[1:]:
                result = join(result, _evaluate(value, table))
            return result
        case ast.UnaryOp(operand=operand):
            return pc.invert(_evaluate(operand, table))
        case ast.Compare(left=ast.Name(id=name), ops=[op], comparators=[right]):
            if isinstance(op, ast.Is | ast.IsNot):
                missing = pc.is_null(table[name], nan_is_null=True)
                return missing if isinstance(op, ast.Is) else pc.invert(missing)
            values = grammar.values(right)
            if not values:
                return pc.if_else(pc.is_null(table[name], nan_is_null=True), None, isinstance(op, ast.NotIn))
            column, wanted = _comparable(table[name], values, f"where: column {name!r}")
            if isinstance(op, ast.In | ast.NotIn):
                hits = pc.if_else(pc.is_valid(column), pc.is_in(column, value_set=wanted), None)
                return hits if isinstance(op, ast.In) else pc.invert(hits)
            return getattr(pc, grammar.COMPARISONS[type(op)])(column, wanted[0])
    raise AssertionError("names() lets nothing else through")


def _comparable(column: pa.Array, values: list[Any], place: str) -> tuple[pa.Array, pa.Array]:
    """(column, values) in one type, null where missing. What CSV says in text is read as what it is compared with."""
    kind = column.type
    timed = pa.types.is_timestamp(kind) or pa.types.is_date(kind)
    if isinstance(values[0], str):
        if not timed:
            return texts(column), pa.array(values, pa.string())
        try:
            return times(column, place)[0], pa.array([moment(value) for value in values], pa.timestamp("us"))
        except ValueError as error:
            raise _incomparable(place, values, "an ISO 8601 time, as the column holds times", str(error)) from None
    if timed or pa.types.is_nested(kind):
        raise _incomparable(place, values, "numbers", str(kind))
    if is_text(kind):
        column = _read(column, values, place)
    elif pa.types.is_boolean(kind):
        column = pc.cast(column, pa.int64())
    elif pa.types.is_floating(kind):
        column = pc.if_else(pc.is_nan(column), None, column)
    exact = pa.uint64() if kind == pa.uint64() else pa.int64()
    low, high = (0, 2**64) if kind == pa.uint64() else (-(2**63), 2**63)
    if pa.types.is_integer(column.type) and all(isinstance(v, int) and low <= v < high for v in values):
        return pc.cast(column, exact), pa.array(map(int, values), exact)
    common = column.type if pa.types.is_floating(column.type) else pa.float64()  # 0.1 is the nearest float32 of those
    return pc.cast(column, common, safe=False), pa.array(map(float, values), common)


def _read(column: pa.Array, values: list[Any], place: str) -> pa.Array:
    """Texts as numbers, or as booleans, 0 and 1, where they are compared with those."""
    booleans = all(isinstance(value, bool) for value in values)
    if booleans:
        result = group_of(column, [(False,), (True,)])
        bad = pc.and_not(pc.invert(is_missing(column)), pc.is_valid(result))
    else:
        result, bad = numbers(column, pa.float64())
    if pc.any(bad).as_py():
        raise _incomparable(
            place, values, "true or false" if booleans else "numbers", repr(column.filter(bad)[0].as_py())
        )
    return result


def _incomparable(place: str, values: list[Any], expected: str, received: str) -> DataError:
    told = ", ".join(map(repr, values))
    return DataError(f"{place} cannot be compared with {told}", expected=expected, received=received)
