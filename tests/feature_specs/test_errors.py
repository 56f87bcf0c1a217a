"""Errors: three parts, the nearest name, one hierarchy."""

import pickle

import pytest

from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError, TfloomError, nearest


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({}, "x: is wrong"),
        ({"expected": "a number"}, "x: is wrong\n  expected: a number"),
        ({"received": "'a'"}, "x: is wrong\n  received: 'a'"),
        ({"expected": "a number", "received": "'a'"}, "x: is wrong\n  expected: a number\n  received: 'a'"),
    ],
)
def test_three_parts_and_no_empty_one(parts, text):
    error = TfloomError("x: is wrong", **parts)
    assert str(error) == text
    assert (error.what, error.expected, error.received) == (
        "x: is wrong", parts.get("expected", ""), parts.get("received", ""),
    )  # fmt: skip


@pytest.mark.parametrize("cls", [TfloomError, SpecError, DataError, ArtefactError])
def test_an_error_of_a_worker_arrives_as_it_was_raised(cls):
    error = pickle.loads(pickle.dumps(cls("x: is wrong", expected="a", received="b")))
    assert type(error) is cls
    assert (error.what, error.expected, error.received) == ("x: is wrong", "a", "b")
    assert str(error) == "x: is wrong\n  expected: a\n  received: b"


@pytest.mark.parametrize("cls", [SpecError, DataError, ArtefactError])
def test_all_are_value_errors_of_one_hierarchy(cls):
    assert issubclass(cls, TfloomError)
    assert issubclass(cls, ValueError)


@pytest.mark.parametrize(
    ("name", "names", "expected"),
    [
        ("scal", ["kind", "scale", "name"], "'scale', or another of: kind, name, scale"),
        ("xyz", ["kind", "scale", "name"], "one of: kind, name, scale"),
        ("b", ["b", "a", "b"], "'b', or another of: a, b"),
        ("x", [], "one of: (there are none)"),
        ("", ["b", "a"], "one of: a, b"),
        ("c07x", (f"c{i:02}" for i in range(25)),
         "'c07', or another of: " + ", ".join(f"c{i:02}" for i in range(20)) + ", ... (25 in all)"),
    ],
)  # fmt: skip
def test_the_name_that_was_probably_meant_comes_first(name, names, expected):
    assert nearest(name, names) == expected
