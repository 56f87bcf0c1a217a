"""`expression`: a number computed from others by arithmetic, comparisons and logic."""

from __future__ import annotations

import ast
import functools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import FiniteFloat, model_validator

from tfloom.feature_specs import grammar
from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.errors import SpecError, nearest
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Dtype

_ARITHMETIC: dict[type, str] = {
    ast.Add: "add", ast.Sub: "subtract", ast.Mult: "multiply",
    ast.Div: "divide", ast.FloorDiv: "floordiv", ast.Mod: "floormod",
}  # fmt: skip
_OF_ONE = ("abs", "exp", "floor", "log", "log1p", "round", "sqrt")
_OF_SEVERAL = {"max": "maximum", "min": "minimum"}
_GRAMMAR = (
    "numbers and names, + - * / // %, ==, !=, <, <=, >, >=, in (...), is missing, and, or, not, A if C else B, "
    f"{', '.join(f'{name}(A)' for name in _OF_ONE)}, max(A, B), min(A, B)"
)
_DEEPEST = 200


class Expression(Column):
    """A number computed from others, float32 [B, 1].

    source: the expression, over inputs; in backquotes the name of one that is no plain word.
    of: instead of `source`, the expression over columns that are one number each.
    missing: what it is where it has no finite number: an input is missing, 0 is a divisor, a logarithm or a root has
      no value, a number is too large.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    kind: Literal["expression"] = "expression"
    source: str | None = None
    of: str | None = None
    missing: FiniteFloat

    @model_validator(mode="after")
    def _is_one(self) -> Expression:
        if (self.source is None) == (self.of is None):
            raise ValueError("needs source, an expression over inputs, or of, one over columns")
        field, text = ("source", self.source) if self.source is not None else ("of", self.of or "")
        try:
            tree = _parsed(text)
        except grammar.UnreadableError as error:
            rest = text[error.position :].strip()
            raise SpecError(
                f"{field}: is no expression at character {error.position + 1}",
                expected=error.expected or _GRAMMAR,
                received=repr(rest)[:100] if rest else f"the end of {text!r}",
            ) from error
        if not _names(tree):
            raise SpecError(f"{field}: names nothing, so that it is the same in every row",
                            expected="an expression with a name in it, or the kind constant",
                            received=repr(text))  # fmt: skip
        return self

    def inputs(self) -> tuple[str, ...]:
        return () if self.source is None else _names(_parsed(self.source))

    def parents(self) -> tuple[str, ...]:
        return () if self.of is None else _names(_parsed(self.of))

    def check(self, columns: Mapping[str, Column]) -> None:
        number = Transformed("float32", 1)
        for parent in self.parents():
            if columns[parent].transformed_type != number:
                raise SpecError(
                    f"columns.{self.name}.of: {parent!r} is not one number",
                    expected=nearest(parent, (n for n, c in columns.items() if c.transformed_type == number)),
                    received=f"{parent!r}, which is {columns[parent].kind}",
                )

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        def read(name: str) -> Any:
            x = values.scalar(name) if self.of is None else values.column(name)[:, 0]
            return _finite(tf.cast(x, tf.float64))

        result = tf.cast(_value(_parsed(self.source or self.of or ""), read), tf.float32)
        return tf.where(tf.math.is_finite(result), result, tf.constant(self.missing, tf.float32))[:, None]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name)


# -- what is let through --------------------------------------------------------------------------------------------


@functools.cache
def _parsed(text: str) -> ast.expr:
    return grammar.parse(text, _names)


def _names(node: ast.expr, depth: int = 0) -> tuple[str, ...]:
    """The names that it reads, each once, in their order."""
    if depth > _DEEPEST:
        raise grammar.OutsideError(node, f"at most {_DEEPEST} operations in one another")
    if isinstance(node, ast.Name):
        return (node.id,)
    return tuple(dict.fromkeys(name for part in _parts(node) for name in _names(part, depth + 1)))


def _parts(node: ast.expr) -> Sequence[ast.expr]:
    """What an operation works on. Raises OutsideError for what is none."""
    match node:
        case ast.Constant(value=int() | float()):
            grammar.values(node)
            return ()
        case ast.UnaryOp(op=ast.UAdd() | ast.USub() | ast.Not(), operand=operand):
            return (operand,)
        case ast.BoolOp(values=operands):
            return operands
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _ARITHMETIC:
            return left, right
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in grammar.COMPARISONS:
            return left, right
        case ast.Compare(left=left, ops=[ast.In() | ast.NotIn()], comparators=[ast.Tuple() | ast.List() as right]):
            if any(isinstance(value, str) for value in grammar.values(right)):
                raise grammar.OutsideError(right, "numbers")
            return (left,)
        case ast.Compare(left=left, ops=[ast.Is() | ast.IsNot()], comparators=[ast.Constant(value=None)]):
            return (left,)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return body, test, orelse
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
            if name not in _OF_ONE and name not in _OF_SEVERAL:
                raise grammar.OutsideError(node, f"a function, {nearest(name, (*_OF_ONE, *_OF_SEVERAL))}")
            if (len(args) == 1) != (name in _OF_ONE) or not args:
                raise grammar.OutsideError(node, f"{name}(A)" if name in _OF_ONE else f"{name}(A, B), of two or more")
            return args
    raise grammar.OutsideError(node)


# -- what it is worth: float64, NaN where missing, never infinite ---------------------------------------------------


def _value(node: ast.expr, read: Callable[[str], Any]) -> Any:
    """float64 [B], or of no dimension where no name is in it. read: a name -> float64 [B]."""
    import tensorflow as tf

    if isinstance(node, ast.Name):
        return read(node.id)
    operands = [_value(part, read) for part in _parts(node)]
    match node:
        case ast.Constant(value=int() | float() as value):
            return tf.constant(float(value), tf.float64)
        case ast.UnaryOp(op=ast.Not()):
            return _present(operands[0] == 0, *operands)
        case ast.UnaryOp(op=op):
            return -operands[0] if isinstance(op, ast.USub) else operands[0]
        case ast.BoolOp(op=op):
            return _joined(isinstance(op, ast.And), operands)
        case ast.BinOp(op=op):
            return _present(getattr(tf.math, _ARITHMETIC[type(op)])(*operands), *operands)
        case ast.Compare(ops=[ast.Is() | ast.IsNot() as op]):
            return tf.cast(tf.math.is_nan(operands[0]) == isinstance(op, ast.Is), tf.float64)
        case ast.Compare(ops=[ast.In() | ast.NotIn() as op], comparators=[right]):
            wanted = tf.constant(grammar.values(right), tf.float32)
            hit = tf.reduce_any(tf.cast(operands[0], tf.float32)[..., None] == wanted, axis=-1)
            return _present(hit == isinstance(op, ast.In), *operands)
        case ast.Compare(ops=[op]):
            # In float32, as `where` compares: x == 0.1 is true of the number nearest 0.1 that an input can hold.
            compare = getattr(tf.math, grammar.COMPARISONS[type(op)])
            return _present(compare(*(tf.cast(x, tf.float32) for x in operands)), *operands)
        case ast.IfExp():
            body, test, orelse = operands
            return _present(tf.where(test != 0, body, orelse), test)
        case ast.Call(func=ast.Name(id=name)):
            if name in _OF_ONE:
                return _present(getattr(tf.math, name)(*operands), *operands)
            return _present(functools.reduce(getattr(tf.math, _OF_SEVERAL[name]), operands), *operands)
    raise AssertionError("_parts() lets nothing else through")


def _finite(x: Any) -> Any:
    import tensorflow as tf

    return tf.where(tf.math.is_finite(x), x, tf.constant(math.nan, tf.float64))


def _present(result: Any, *operands: Any) -> Any:
    """A result, 1 and 0 for true and false; missing where an operand is, or where it is not finite."""
    import tensorflow as tf

    absent = functools.reduce(tf.logical_or, map(tf.math.is_nan, operands))
    return _finite(tf.where(absent, tf.constant(math.nan, tf.float64), tf.cast(result, tf.float64)))


def _joined(every: bool, operands: Sequence[Any]) -> Any:
    """`and` where `every`, else `or`: one operand may decide though another is missing."""
    import tensorflow as tf

    deciding = [(x == 0) if every else (x != 0) & ~tf.math.is_nan(x) for x in operands]
    decided = functools.reduce(tf.logical_or, deciding)
    return tf.where(decided, tf.constant(0.0 if every else 1.0, tf.float64),
                    _present(every, *operands))  # fmt: skip
