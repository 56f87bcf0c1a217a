"""`where`: its grammar, and what it takes of rows, beside Python's own evaluation."""

import datetime
import math

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfloom.feature_specs import where
from tfloom.feature_specs.errors import DataError, SpecError

NAN = float("nan")


def taken(text, **columns):
    table = {name: values if isinstance(values, pa.Array) else pa.array(values) for name, values in columns.items()}
    return where.evaluate(where.parse(text), table).to_pylist()


@pytest.mark.parametrize(
    ("text", "x", "expected"),
    [
        ("x == 1", [1, 2, None], [True, False, False]),
        ("x != 1", [1, 2, None], [False, True, False]),
        ("not x == 1", [1, 2, None], [False, True, False]),
        ("x < 2.5", [2, 3, None], [True, False, False]),
        ("x >= -1", [-1.0, -1.5, NAN], [True, False, False]),
        ("x != 0", [NAN, 1.0, None], [False, True, False]),
        ("not x > 0", [NAN, 1.0, -1.0], [False, False, True]),
        ("x in (1, 2.5)", [1.0, 2.5, 2.0, NAN], [True, True, False, False]),
        ("x not in [1, 2]", [1, 3, None], [False, True, False]),
        ("x in ()", [1, None], [False, False]),
        ("x not in ()", [1, None], [True, False]),
        ("x not in ()", ["a", None], [True, False]),
        ("x is missing", [1.0, NAN, None], [False, True, True]),
        ("x is not missing", [1.0, NAN, None], [True, False, False]),
        ("not x is missing", [1.0, NAN, None], [True, False, False]),
        ("x is missing", ["a", "NA", None], [False, False, True]),
        ("x > 10", ["9", "100", "NA", "nan", "", None], [False, True, False, False, False, False]),
        ("x != 10", ["10.0", "1e1", "11", "NA"], [False, False, True, False]),
        ("x in (10, 11)", ["10.0", "NULL", "12"], [True, False, False]),
        ("x > '10'", ["9", "100", "1", None], [True, True, False, False]),
        ("x == 'is missing'", ["is missing", "None"], [True, False]),
        ("x in ('a', \"b'\")", ["a", "b'", "c", None], [True, True, False, False]),
        ("x == '1'", [1.0, 1.5, NAN], [True, False, False]),
        ("x == '1.5'", [1.0, 1.5, NAN], [False, True, False]),
        ("x == True", [True, False, None], [True, False, False]),
        ("x == 1", [True, False, None], [True, False, False]),
        ("x == True", ["True", "no", "1", "NA", None], [True, False, True, False, False]),
        ("x == True", [1, 0, 2], [True, False, False]),
        ("x == 9007199254740993", [9007199254740992, 9007199254740993], [False, True]),
        ("x == 9007199254740992.0", [9007199254740993, 9007199254740992], [True, True]),
        ("x < 1e300", [2**53 + 1], [True]),
        ("x < 100000000000000000000", [2**62], [True]),
        ("x == 0.1", pa.array([0.1, 0.2], pa.float32()), [True, False]),
        ("x > -1", pa.array([2**63 + 1, 0, None], pa.uint64()), [True, True, False]),
        ("x == 9223372036854775809", pa.array([2**63 + 1, 2**63 + 2], pa.uint64()), [True, False]),
        ("x >= '2013-11-01'", [datetime.date(2013, 10, 31), datetime.date(2013, 11, 1), None], [False, True, False]),
        ("x == '2013-11-01'", [datetime.datetime(2013, 11, 1), datetime.datetime(2013, 11, 1, 5)], [True, False]),
        ("x >= '2013-11-01'", ["2013-10-31", "2013-11-01", None], [False, True, False]),
        ("x == 'a'", pa.array(["a", "b"]).dictionary_encode(), [True, False]),
    ],
)  # fmt: skip
def test_what_a_comparison_takes(text, x, expected):
    assert taken(text, x=x) == expected


def test_and_or_and_not_bind_as_in_python():
    x, y = [1, 1, 2, 2], [1, 2, 1, 2]
    assert taken("x == 1 or x == 2 and y == 1", x=x, y=y) == [True, True, True, False]
    assert taken("(x == 1 or x == 2) and y == 1", x=x, y=y) == [True, False, True, False]
    assert taken("not x == 1 and y == 1", x=x, y=y) == [False, False, True, False]


def test_a_comparison_with_a_missing_value_is_open_until_the_other_one_says():
    x, y = [None, None, None], [1, 2, None]
    assert taken("x == 1 or y == 1", x=x, y=y) == [True, False, False]
    assert taken("not (x == 1 and y == 1)", x=pa.array(x, pa.int64()), y=y) == [False, True, False]


def test_the_columns_that_it_reads_in_their_order():
    tree = where.parse("b == 1 and (a in ('x', 'y') or not b < 2) and `c d` is not missing")
    assert where.names(tree) == ("b", "a", "c d")


def test_a_name_that_is_no_word_stands_in_backquotes():
    columns = {"hours-per-week": [39, 41], "class": ["a", "b"], "is missing": [1, 2]}
    assert taken("`hours-per-week` > 40", **columns) == [False, True]
    assert taken("`class` == '`a`' or `class` == 'a'", **columns) == [True, False]
    assert taken("`is missing` == 1", **columns) == [True, False]


def test_it_may_stand_on_several_lines():
    assert taken("  x > 1\n  and x < 3\n", x=[1, 2, 3]) == [False, True, False]


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "x = 1", "x == y", "1 == x", "1 < x < 3", "x + 1 == 2", "f(x) == 1", "x == None", "x is None1",
        "x is 1", "x in 1", "x in 'abc'", "x == (1, 2)", "x in (1, 'a')", "x in ((1, 2), 3)", "x in (None,)", "x == 1j",
        "x == b'a'", "x == 1e999", "x in (1, -1e999)", "x == 1" + "0" * 400, "x == 1 and", "`x == 1", "x == 'a",
        "x.y == 1", "lambda: 1", "x == f'{y}'", "x == {1}", "x == 1\0", "x == " + "(" * 300 + "1" + ")" * 300,
        "x == 1) and (y == 1", "x == 1, y == 1", "x`y` == 1", "x == {[1]: 2}", "not " * 30000 + "x == 1",
    ],
)  # fmt: skip
def test_what_is_outside_the_grammar(text):
    with pytest.raises(SpecError) as error:
        where.parse(text)
    assert error.value.what == "where: not an expression of its grammar"
    assert error.value.expected.startswith("comparisons of a column with a value (==, !=")
    assert error.value.received == repr(text)


@pytest.mark.parametrize(
    ("text", "x", "expected", "received"),
    [
        ("x > 1", ["2", "two"], "numbers", "'two'"),
        ("x in (1, 2)", ["two"], "numbers", "'two'"),
        ("x == True", ["maybe"], "true or false", "'maybe'"),
        ("x > 1", [datetime.date(2013, 1, 1)], "numbers", "date32[day]"),
        ("x > 1", [[1]], "numbers", "list<item: int64>"),
        ("x > 'soon'", [datetime.date(2013, 1, 1)], "an ISO 8601 time", "Invalid isoformat string: 'soon'"),
    ],
)
def test_what_cannot_be_compared(text, x, expected, received):
    with pytest.raises(DataError, match="where: column 'x' cannot be compared with") as error:
        taken(text, x=x)
    assert error.value.expected.startswith(expected)
    assert error.value.received == received


# -- beside Python --------------------------------------------------------------------------------------------------

INTEGERS = st.integers(-3, 3)
FLOATS = st.sampled_from([-1.5, -0.0, 0.5, 1.0, 2.0, math.inf])
TEXTS = st.sampled_from(["", "a", "b", "is missing", "it's"])
VALUES = {"i": INTEGERS, "f": FLOATS, "s": TEXTS}


@st.composite
def comparisons(draw):
    """(the expression, the same in Python over a row where missing is None, with Kleene's None for what is open)."""
    name = draw(st.sampled_from(sorted(VALUES)))
    values = VALUES[name].filter(lambda v: not (isinstance(v, float) and math.isinf(v)))
    sort = draw(st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "not in", "is missing", "is not missing"]))
    if sort.startswith("is"):
        return f"{name} {sort}", lambda row: (row[name] is None) == (sort == "is missing")
    value = tuple(draw(st.lists(values, max_size=3))) if sort.endswith("in") else draw(values)
    expression = f"{name} {sort} {value!r}"
    return expression, lambda row: None if row[name] is None else eval(expression, {}, row)


def joined(parts):
    return st.one_of(
        parts.map(lambda a: (f"not ({a[0]})", lambda row: None if a[1](row) is None else not a[1](row))),
        st.tuples(parts, parts).map(lambda ab: (f"({ab[0][0]}) and ({ab[1][0]})", lambda row: both(ab, row))),
        st.tuples(parts, parts).map(lambda ab: (f"({ab[0][0]}) or ({ab[1][0]})", lambda row: either(ab, row))),
    )


def both(parts, row):
    found = [part(row) for _, part in parts]
    return False if False in found else None if None in found else True


def either(parts, row):
    found = [part(row) for _, part in parts]
    return True if True in found else None if None in found else False


ROWS = st.lists(st.fixed_dictionaries({name: st.none() | values for name, values in VALUES.items()}), max_size=8)


@given(st.recursive(comparisons(), joined, max_leaves=6), ROWS)
def test_it_takes_what_python_would(expression, rows):
    text, python = expression
    types = {"i": pa.int64(), "f": pa.float64(), "s": pa.string()}
    table = {name: pa.array([row[name] for row in rows], kind) for name, kind in types.items()}
    assert where.evaluate(where.parse(text), table).to_pylist() == [python(row) is True for row in rows]
