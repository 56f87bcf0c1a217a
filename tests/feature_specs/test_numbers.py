"""Numbers out of columns of the data: each value for itself, whatever the others are."""

from decimal import Decimal

import pyarrow as pa
import pytest

from tfloom.feature_specs.numbers import numbers
from tfloom.feature_specs.values import texts

BAD = "bad"


@pytest.mark.parametrize("kind", [pa.decimal128(38, 9), pa.decimal256(76, 38)])
def test_the_text_of_a_decimal_is_that_of_its_number(kind):
    told = {"2": "2", "100": "100", "1.50": "1.5", "-0.000000001": "-0.000000001", "0": "0"}
    assert texts(pa.array([Decimal(number) for number in told], kind)).to_pylist() == list(told.values())


def read(values, kind):
    found, bad = numbers(values if isinstance(values, pa.Array) else pa.array(values), kind)
    return [BAD if is_bad else value for value, is_bad in zip(found.to_pylist(), bad.to_pylist(), strict=True)]


@pytest.mark.parametrize(
    ("text", "integer", "number"),
    [
        ("7", 7, 7.0), ("007", 7, 7.0), ("+7", 7, 7.0), ("-7", -7, -7.0), ("7.0", 7, 7.0), ("7.", 7, 7.0),
        ("7e2", 700, 700.0), ("7.5", BAD, 7.5), (".5", BAD, 0.5),
        ("9007199254740993", 9007199254740993, 9007199254740992.0),
        ("9223372036854775808", BAD, 9223372036854775808.0), ("inf", BAD, float("inf")),
        ("0x1F", BAD, BAD), ("1_2", BAD, BAD), ("seven", BAD, BAD), ("7 8", BAD, BAD),
        ("NA", None, None), ("", None, None), ("nan", None, None), ("null", None, None),
    ],
)  # fmt: skip
def test_a_text_is_read_for_itself(text, integer, number):
    for others in ([], ["1"], ["x"], ["1.5"]):
        assert read([text, *others], pa.int64())[0] == integer
        assert read([text, *others], pa.float64())[0] == number


@pytest.mark.parametrize(
    ("values", "integers", "floats"),
    [
        ([1, None, -(2**63)], [1, None, -(2**63)], [1.0, None, -(2.0**63)]),
        ([1.0, 1.5, None, float("nan"), 2.0**63], [1, BAD, None, None, BAD], [1.0, 1.5, None, None, 2.0**63]),
        ([True, False, None], [1, 0, None], [1.0, 0.0, None]),
        ([[1], None], [BAD, None], [BAD, None]),
        (pa.array([], pa.string()), [], []),
        (pa.array([None, None]), [None, None], [None, None]),
    ],
)
def test_other_values(values, integers, floats):
    assert read(values, pa.int64()) == integers
    assert read(values, pa.float64()) == floats
