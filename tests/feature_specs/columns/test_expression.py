import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.expression import Expression
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN = float("nan")
MISSING = -99.0
"""What stands in for a result that is missing; no expression below has it as its value."""


class TestExpression(ColumnContract):
    rows = {
        "expression_a": pa.array([3, 0, -2, None, 5.5, NAN, 1e30, 0.1], pa.float32()),
        "expression b": pa.array([2, -1, 0, 1, None, 2, 3, 0]),
    }
    columns = {
        "expression_ratio": {"kind": "expression", "source": "expression_a / (`expression b` + 1)", "missing": -1.0},
        "expression_flag": {"kind": "expression", "source": "expression_a > 0 and `expression b` < 3", "missing": 0.5},
        "expression_curve": {"kind": "expression", "source": "log1p(abs(expression_a)) * exp(`expression b` / 4)",
                             "missing": 0.0},
        "expression_of": {"kind": "expression", "of": "max(expression_ratio, expression_flag) + 1", "missing": 0.0},
    }  # fmt: skip
    transformed = {
        "expression_ratio": [1, -1, -2, -1, -1, -1, 2.5e29, 0.1],
        "expression_flag": [1, 0, 0, 0.5, 0.5, 0.5, 0, 1],
        "expression_curve": [
            math.log(4) * math.exp(0.5), 0, math.log(3), 0, 0, 0, 30 * math.log(10) * math.exp(0.75), math.log(1.1),
        ],
        "expression_of": [2, 1, 1, 1.5, 1.5, 1.5, 2.5e29, 2],
    }  # fmt: skip
    no_raw = dict.fromkeys(columns, "expression has no tf.feature_column over raw rows")


def worth(text, **inputs):
    """Its value in each row of `inputs`, None where it is missing."""
    read = {name: tf.constant(values, tf.float32) for name, values in inputs.items()}
    made = Expression(name="x", source=text, missing=MISSING).transform(SimpleNamespace(scalar=read.__getitem__))
    assert made.dtype == tf.float32
    assert made.shape == (len(next(iter(inputs.values()))), 1)
    return [None if value == MISSING else value for value in made.numpy()[:, 0].tolist()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Over a = 7, -7, 0.5, missing, 0 and b = 2, 2, 0, 3, missing.
        ("a + b", [9, -5, 0.5, None, None]),
        ("a - b", [5, -9, 0.5, None, None]),
        ("a * b", [14, -14, 0, None, None]),
        ("a / b", [3.5, -3.5, None, None, None]),
        ("a // b", [3, -4, None, None, None]),
        ("a % b", [1, 1, None, None, None]),
        ("7 % -b", [-1, -1, None, -2, None]),
        ("+a - -b * 2", [11, -3, 0.5, None, None]),
        ("(a - b) * 2", [10, -18, 1, None, None]),
        ("a == 7", [1, 0, 0, None, 0]),
        ("a != b", [1, 1, 1, None, None]),
        ("a < 0.5", [0, 1, 0, None, 1]),
        ("a <= 0.5", [0, 1, 1, None, 1]),
        ("a > b", [1, 0, 1, None, None]),
        ("a >= 0.5", [1, 0, 1, None, 0]),
        ("a in (7, 0.5)", [1, 0, 1, None, 0]),
        ("a not in [7, 0.5]", [0, 1, 0, None, 1]),
        ("a in ()", [0, 0, 0, None, 0]),
        ("a is missing", [0, 0, 0, 1, 0]),
        ("a is not missing", [1, 1, 1, 0, 1]),
        ("a / b is missing", [0, 0, 1, 1, 1]),
        # What one side decides does not ask the other.
        ("a and b", [1, 1, 0, None, 0]),
        ("b and a", [1, 1, 0, None, 0]),
        ("a or b", [1, 1, 1, 1, None]),
        ("b or a", [1, 1, 1, 1, None]),
        ("a > 0 and b > 0 and a > b", [1, 0, 0, None, 0]),
        ("a > 0 or b > 2 or b == 2", [1, 1, 1, 1, None]),
        ("not a", [0, 0, 0, None, 1]),
        ("not a == 7", [0, 1, 1, None, 1]),
        ("a + (b > 1)", [8, -6, 0.5, None, None]),
        ("True + False + b", [3, 3, 1, 4, None]),
        ("a if b else 5", [7, -7, 5, None, None]),
        ("0 if b is missing or b == 0 else a / b", [3.5, -3.5, 0, None, 0]),
        ("b if a is missing else 5", [5, 5, 5, 3, 5]),
        ("abs(a)", [7, 7, 0.5, None, 0]),
        ("max(a, b)", [7, 2, 0.5, None, None]),
        ("min(a, b, 1)", [1, -7, 0, None, None]),
        ("floor(a)", [7, -7, 0, None, 0]),
        ("floor(a / 2)", [3, -4, 0, None, 0]),
        ("round(a)", [7, -7, 0, None, 0]),
        ("round(a * 3)", [21, -21, 2, None, 0]),
        ("round(a / 2 + 1)", [4, -2, 1, None, 1]),
        ("sqrt(a + 2)", [3, None, np.float32(math.sqrt(2.5)).item(), None, np.float32(math.sqrt(2)).item()]),
        ("log(a)", [np.float32(math.log(7)).item(), None, np.float32(math.log(0.5)).item(), None, None]),
        ("log1p(a)", [np.float32(math.log(8)).item(), None, np.float32(math.log(1.5)).item(), None, 0]),
        ("exp(a)", [np.float32(math.exp(x)).item() if x is not None else x for x in (7, -7, 0.5, None, 0)]),
        # Too large: in float64 at once, in float32 in the end.
        ("exp(a * 1000)", [None, 0, None, None, 1]),
        ("exp(a * 1000) > 1", [None, 0, 1, None, 0]),
        ("a * 1e38", [None, None, 0.5e38, None, 0]),
        ("a * 1e38 / 1e38", [7, -7, 0.5, None, 0]),
        ("1 / (1 / (a - 7))", [None, -14, -6.5, None, -7]),
    ],
)  # fmt: skip
def test_what_an_expression_is_worth(text, expected):
    expected = [None if value is None else np.float32(value).item() for value in expected]
    assert worth(text, a=[7, -7, 0.5, NAN, 0], b=[2, 2, 0, 3, NAN]) == expected


def test_a_comparison_is_one_of_float32_and_arithmetic_of_float64():
    tenth = [0.1, 0.3, 2**24]
    assert worth("a == 0.1", a=tenth) == [1, 0, 0]
    assert worth("a > 0.1", a=tenth) == [0, 1, 1]
    assert worth("a in (0.1, 0.3)", a=tenth) == [1, 1, 0]
    assert worth("a + 1 - 16777216", a=tenth)[2] == 1
    assert worth("a * 3 == a + a + a", a=tenth) == [1, 1, 1]


def test_an_infinite_input_is_missing():
    assert worth("a > 0", a=[math.inf, -math.inf, 1]) == [None, None, 1]


def test_a_name_that_is_no_word_stands_in_backquotes():
    assert worth("`hours-per-week` + `class`", **{"hours-per-week": [40], "class": [2]}) == [42]


def test_it_may_stand_on_several_lines():
    assert worth("  a\n  + 2 *\n  a\n", a=[3]) == [9]


def test_the_inputs_and_the_columns_that_it_reads_in_their_order():
    text = "log(b) + (a if c_d in (1, 2) else b) / max(e, `f g`)"
    assert Expression(name="x", source=text, missing=0).inputs() == ("b", "a", "c_d", "e", "f g")
    assert Expression(name="x", source=text, missing=0).parents() == ()
    assert Expression(name="x", of=text, missing=0).inputs() == ()
    assert Expression(name="x", of=text, missing=0).parents() == ("b", "a", "c_d", "e", "f g")


# -- what is refused ------------------------------------------------------------------------------------------------


def refused(fields, *others):
    columns = [{"name": "x", "kind": "expression", "missing": 0} | fields, *others]
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    return error.value


ANYTHING = "numbers and names, + - * / // %, ==, "


@pytest.mark.parametrize(
    ("text", "character", "expected", "received"),
    [
        ("", 1, ANYTHING, "the end of ''"),
        ("a +", 4, ANYTHING, "the end of 'a +'"),
        ("a + b c", 7, ANYTHING, "'c'"),
        ("distance / (air_time + )", 24, ANYTHING, "')'"),
        ("é + `x y` + )", 13, ANYTHING, "')'"),
        ("a\n + * b", 6, ANYTHING, "'* b'"),
        ("a) + (b", 2, ANYTHING, "') + (b'"),
        ("a, b", 1, ANYTHING, "'a, b'"),
        ("2 * `a", 5, ANYTHING, "'`a'"),
        ("2 * a`b`", 6, ANYTHING, "'`b`'"),
        ("2 * (1 < a < 3)", 6, ANYTHING, "'1 < a < 3)'"),
        ("2 + a ** 2", 5, ANYTHING, "'a ** 2'"),
        ("2 + ~a", 5, ANYTHING, "'~a'"),
        ("a == 'x'", 6, ANYTHING, "\"'x'\""),
        ("a in ('x', 'y')", 6, "numbers", "\"('x', 'y')\""),
        ("a in (b, 1)", 6, ANYTHING, "'(b, 1)'"),
        ("a in 1", 1, ANYTHING, "'a in 1'"),
        ("a == None", 6, ANYTHING, "'None'"),
        ("a + 1e999", 5, ANYTHING, "'1e999'"),
        ("a + 1j", 5, ANYTHING, "'1j'"),
        ("a.b", 1, ANYTHING, "'a.b'"),
        ("a[0]", 1, ANYTHING, "'a[0]'"),
        ("1 + (lambda: a)()", 5, ANYTHING, "'(lambda: a)()'"),
        ("1 + __import__('os')", 5, "a function, ", "\"__import__('os')\""),
        ("1 + lgo(a)", 5, "a function, 'log', or another of: abs, exp, floor, log, log1p, max,", "'lgo(a)'"),
        ("log(a, 2)", 1, "log(A)", "'log(a, 2)'"),
        ("log(x=a)", 1, ANYTHING, "'log(x=a)'"),
        ("log(*a)", 5, ANYTHING, "'*a)'"),
        ("min(a)", 1, "min(A, B), of two or more", "'min(a)'"),
        ("max()", 1, "max(A, B), of two or more", "'max()'"),
        ("a" + " + a" * 300, 1, "at most 200 operations in one another", "'a + a + "),
        ("a" + " + a" * 30000, 1, ANYTHING, "'a + a + "),
        ("a + \ud800", 1, ANYTHING, "'a + "),
    ],
)  # fmt: skip
@pytest.mark.parametrize("field", ["source", "of"])
def test_what_is_no_expression(field, text, character, expected, received):
    error = refused({field: text})
    assert error.what == f"spec: columns.0.{field}: is no expression at character {character}"
    assert error.expected.startswith(expected)
    assert error.received.startswith(received)


def test_an_expression_reads_something():
    error = refused({"source": "1 + 2"})
    assert error.what == "spec: columns.0.source: names nothing, so that it is the same in every row"
    assert error.expected == "an expression with a name in it, or the kind constant"
    assert error.received == "'1 + 2'"


@pytest.mark.parametrize("fields", [{}, {"source": "a", "of": "b"}])
def test_it_is_over_inputs_or_over_columns(fields):
    assert refused(fields).expected == "needs source, an expression over inputs, or of, one over columns"


def test_what_stands_in_for_a_missing_value_is_said():
    with pytest.raises(SpecError, match=r"columns\.0\.missing: is missing"):
        validate({"columns": [{"name": "x", "kind": "expression", "source": "a"}]}, FeatureSpec, "spec")
    assert refused({"source": "a", "missing": NAN}).expected == "a finite number"


def test_of_names_columns_and_source_names_inputs():
    number = {"name": "a", "kind": "numeric", "source": "b"}
    error = refused({"of": "a + b"}, number)
    assert (error.what, error.received) == ("spec: columns.x.of: there is no column 'b'", "'b'")
    spec = validate({"columns": [{"name": "x", "kind": "expression", "source": "a", "missing": 0}, number]},
                    FeatureSpec, "spec")  # fmt: skip
    assert spec.input_names == ("a", "b")


def test_the_columns_it_is_made_of_are_one_number_each():
    error = refused({"of": "a + 1"}, {"name": "a", "kind": "hashed", "buckets": 5})
    assert error.what == "spec: columns.x.of: 'a' is not one number"
    assert error.received == "'a', which is hashed"
    assert error.expected == "one of: x"


def test_an_expression_is_not_made_of_itself():
    error = refused({"of": "y + 1"}, {"name": "y", "kind": "expression", "of": "x", "missing": 0})
    assert error.what == "spec: columns: a column is made of itself"


# -- beside Python --------------------------------------------------------------------------------------------------


def both(values):
    return 0.0 if 0 in values else None if None in values else 1.0


def either(values):
    return 1.0 if any(values) else None if None in values else 0.0


def strict(function):
    """The function where every operand is there and its result is finite, else None."""

    def run(values):
        if None in values:
            return None
        try:
            result = float(function(*values))
        except ZeroDivisionError:
            return None
        return result if math.isfinite(result) else None

    return run


def f32(x):
    with np.errstate(over="ignore"):
        return float(np.float32(x))


OPERATIONS = {
    "({} + {})": strict(lambda a, b: a + b),
    "({} - {})": strict(lambda a, b: a - b),
    "({} * {})": strict(lambda a, b: a * b),
    "({} / {})": strict(lambda a, b: a / b),
    "({} % {})": strict(lambda a, b: a % b),
    "({} // {})": strict(lambda a, b: math.floor(a / b)),
    "({} < {})": strict(lambda a, b: f32(a) < f32(b)),
    "({} == {})": strict(lambda a, b: f32(a) == f32(b)),
    "({} >= {})": strict(lambda a, b: f32(a) >= f32(b)),
    "({} and {})": both,
    "({} or {})": either,
    "(not {})": strict(lambda a: a == 0),
    "({} is missing)": lambda values: float(values[0] is None),
    "({} if {} else {})": lambda values: None if values[1] is None else values[0] if values[1] else values[2],
    "min({}, {}, {})": strict(min),
    "max({}, {})": strict(max),
    "abs({})": strict(abs),
    "round({})": strict(round),
    "floor({})": strict(math.floor),
}
LEAVES = st.one_of(
    st.sampled_from("ab").map(lambda name: (name, lambda row: row[name])),
    st.sampled_from([0.0, 0.1, 1.0, 2.5, 1e30]).map(lambda number: (repr(number), lambda row: number)),
)


def operations(parts):
    def made(chosen):
        (text, function), operands = chosen
        operands = operands[: text.count("{}")]
        return text.format(*(o[0] for o in operands)), lambda row: function([o[1](row) for o in operands])

    return st.tuples(st.sampled_from(list(OPERATIONS.items())), st.tuples(parts, parts, parts)).map(made)


CELLS = st.sampled_from([None, 0.0, -0.0, 1.0, -1.5, 3.0, f32(0.1), f32(1e20), 2.0**24])
ROWS = st.lists(st.fixed_dictionaries({"a": CELLS, "b": CELLS}), min_size=1, max_size=8)


@given(st.recursive(LEAVES, operations, max_leaves=8), ROWS)
def test_it_is_worth_what_python_says(expression, rows):
    text, python = expression
    inputs = {name: [NAN if row[name] is None else row[name] for row in rows] for name in "ab"}
    expected = [python(row) for row in rows]
    expected = [None if x is None or not math.isfinite(f32(x)) or f32(x) == MISSING else f32(x) for x in expected]
    assert worth(f"{text} + 0 * (a is missing)", **inputs) == expected
