"""Tensors to TF Serving's JSON and back, bit for bit."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tfloom.feature_specs import tensor_json
from tfloom.feature_specs.errors import DataError


def through_json(tensor, dtype, **options):
    return tensor_json.decode(json.loads(json.dumps(tensor_json.encode(tensor, **options))), dtype)


@given(hnp.arrays(np.uint32, hnp.array_shapes(max_dims=3, max_side=5)))
def test_float32_is_exact(bits):
    tensor = bits.view(np.float32)
    back = through_json(tensor, "float32")
    assert back.dtype == np.float32
    nan = np.isnan(tensor)  # JSON has one NaN
    assert np.isnan(back[nan]).all()
    assert (back.view(np.uint32)[~nan] == bits[~nan]).all()


@given(hnp.arrays(np.float64, hnp.array_shapes(max_dims=2)))
def test_float64_is_exact(tensor):
    np.testing.assert_array_equal(through_json(tensor, "float64"), tensor)


@given(hnp.arrays(np.int64, hnp.array_shapes(max_dims=2)))
def test_int64_is_exact(tensor):
    np.testing.assert_array_equal(through_json(tensor, "int64"), tensor)


@given(st.lists(st.binary(max_size=20)), st.booleans())
def test_strings_are_exact(values, binary):
    tensor = np.array([*values, None], object)[:-1]
    assert through_json(tensor, "string", binary=binary).tolist() == values


def test_the_words():
    numbers = np.float32([0.1, 1, np.nan, np.inf, -np.inf, -0.0])
    assert json.dumps(tensor_json.encode(numbers)) == "[0.1, 1.0, NaN, Infinity, -Infinity, -0.0]"
    strings = np.array([b"EWR", "Z\u00fcrich".encode(), b"\xff\xd8"], object)
    assert tensor_json.encode(strings) == ["EWR", "Z\u00fcrich", {"b64": "/9g="}]
    assert tensor_json.encode(strings[:1], binary=True) == [{"b64": "RVdS"}]
    assert tensor_json.encode(np.array([[True], [False]])) == [[True], [False]]
    assert tensor_json.encode(np.float32(0.5)[None][0:0]) == []
    assert tensor_json.encode(np.array(3, np.int64)) == 3


def test_shapes():
    assert tensor_json.decode([[1, 2], [3, 4]], "int32", [None, 2]).shape == (2, 2)
    assert tensor_json.decode(1.5, "float32", []).shape == ()
    assert tensor_json.decode([], "float32", [None, 3]).shape == (0, 3)
    assert tensor_json.decode([[], []], "int64", [None, None]).shape == (2, 0)
    assert tensor_json.decode([], "string").shape == (0,)
    assert tensor_json.decode({"b64": "AA"}, "string", []).tolist() == b"\x00"


@pytest.mark.parametrize(
    ("value", "dtype", "shape", "told"),
    [
        ([[1.0], [2.0, 3.0]], "float32", None, "x: is ragged at depth 1"),
        ([1.0, [2.0]], "float32", None, "x: is ragged at depth 1"),
        ([1.0], "float32", [None, 1], r"expected: \[None, 1\]\n  received: \[1\]"),
        ([[1.0, 2.0]], "float32", [None, 3], "x: is of another shape"),
        (["1"], "float32", [None], "x: value 0 is not float32\n.*\n  received: '1'"),
        ([1.0, None], "float32", [None], "x: value 1 is not float32\n.*\n  received: None"),
        ([True], "float32", [None], "received: True"),
        ([1.5], "int64", [None], "x: value 0 is not int64"),
        ([2**31], "int32", [None], "x: is out of the range of int32"),
        ([2**63], "int64", [None], "x: is out of the range of int64"),
        ([2**24 + 1], "float32", [None], "without loss of precision"),
        ([1e39], "float32", [None], "x: value 0 is out of the range of float32"),
        ([1], "bool", [None], "x: value 0 is not bool"),
        ([1], "string", [None], "x is not a string"),
        ([{"b64": "*"}], "string", [None], "x: cannot be decoded"),
        (["\ud800"], "string", [None], "x: cannot be decoded"),
        ([{"b64": "AA", "c": 1}], "string", [None], "x is not a string"),
        ([1], "complex64", [None], "complex64 has no JSON form"),
    ],
)
def test_what_does_not_fit(value, dtype, shape, told):
    with pytest.raises(DataError, match=told):
        tensor_json.decode(value, dtype, shape, "x")
