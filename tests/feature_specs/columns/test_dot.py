import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


class TestDot(ColumnContract):
    rows = {
        "dot_query": pa.array([
            ["a:0.5", "b:0.5"], ["a", "b", "c"], ["a", "b"], None, ["a:x", "b:2", "b:3"], ["ü:-2", "c:1"],
            ["a:1e300", "b:1"], ["a:3e30"],
        ]),
        "dot_document": pa.array([
            ["b:0.5", "a:0.5"], ["a", "b:1"], [], [], ["a:7", "b:10", "b:1"], ["ü:0.1", "d:9"],
            ["b:4", "a:0"], ["a:3e30"],
        ]),
        "dot_text": pa.array(["a=2|b=3", "a=2", "c=1", "a:2", "", None, "b=1e2|a", "a==2|b=1"]),
        "dot_weights": pa.array(["a=2|b=2"] * 8),
        "dot_codes": pa.array([[1, 2], [1, 1], [], None, [-1], [3, -1], [2**62], [2]]),
        "dot_of_codes": pa.array([
            ["1:0.5", "2:3"], ["1:2"], ["1:2"], ["1:2"], ["-1:2"], ["-1:2", "03:1"], [f"{2**62}:4"], ["2:-1"],
        ]),
    }  # fmt: skip
    inputs = {"dot_text": {"multi_valued": True}, "dot_weights": {"delimiter": "|"}}
    columns = {
        "dot_product": {"kind": "dot", "source": ["dot_query", "dot_document"], "missing": 0.1},
        "dot_separated": {"kind": "dot", "source": ["dot_text", "dot_weights"], "separator": "=", "missing": -1.0},
        "dot_codes": {"kind": "dot", "source": ["dot_codes", "dot_of_codes"], "missing": 9.0},
    }
    transformed = {
        # 9e60 is more than a float32 can be.
        "dot_product": [0.5, 2, 0.1, 0.1, 55, -0.2, 4, 0.1],
        "dot_separated": [10, 4, 0, 0, -1, -1, 202, 2],
        "dot_codes": [3.5, 4, 9, 9, 9, 0, 4, -1],
    }
    no_raw = dict.fromkeys(columns, "dot has no tf.feature_column over raw rows")


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({}, "columns.0.source: is missing", "a value for 'source'"),
        ({"source": ["a", "b", "c"]}, "columns.0.source: is not right", "a list of at most 2 items"),
        ({"source": ["a", "a"]}, "columns.0: is not right", "source names an input twice"),
        ({"source": ["a", "b"], "separator": ""}, "columns.0.separator: is not right", "String should have at least 1"),
        ({"source": ["a", "b"], "missing": None}, "columns.0.missing: is not right", "a valid number"),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "dot", "missing": 0} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected)


@pytest.mark.parametrize("name", ["a", "b"])
def test_a_vector_that_is_cut_between_key_and_number(name):
    column = {"name": "x", "kind": "dot", "source": ["a", "b"], "missing": 0}
    with pytest.raises(SpecError) as error:
        validate({"inputs": {name: {"delimiter": ":"}}, "columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: columns.x: '{name}' is cut at each ':', which separates a key from its value"
