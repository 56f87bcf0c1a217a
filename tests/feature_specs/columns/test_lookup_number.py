import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

BY_KEYS = {"kind": "lookup_number", "source": "lookup_counts", "key": "lookup_keys", "missing": -1.0}


class TestLookupNumber(ColumnContract):
    rows = {
        "lookup_counts": pa.array([
            ["ca:1", "cb:2"], ["ca:1", "cb:0.5", "ca:4"], ["ca:1"], None, [], ["ca:x", "cb:3", "cc:nan", "cc"],
            ["ü:-2.5", "1:1e3"], ["ca:3e38", "cb:3e38", "cc:-7"],
        ]),
        "lookup_keys": pa.array([
            ["ca", "cb"], ["ca", "ca", "cd"], None, ["ca"], ["ca"], ["ca", "cb", "cc"], ["1", "ü"], ["ca", "cb"],
        ]),
        "lookup_hours": pa.array(["7>2 8>4", "8>1", "17>5", "7>1 7>2", "7:3", "", None, "07>3"]),
        "lookup_hour": pa.array([7, 7, 7, 7, 7, 7, 7, 7]),
    }  # fmt: skip
    inputs = {"lookup_hours": {"delimiter": " "}}
    columns = {
        "lookup_sum": BY_KEYS,
        "lookup_mean": BY_KEYS | {"combiner": "mean"},
        "lookup_min": BY_KEYS | {"combiner": "min"},
        "lookup_max": BY_KEYS | {"combiner": "max"},
        "lookup_count": BY_KEYS | {"combiner": "count", "missing": 0.0},
        "lookup_hours": {"kind": "lookup_number", "key": "lookup_hour", "separator": ">", "missing": 0.0},
    }
    transformed = {
        # 6e38 is more than a float32 can be.
        "lookup_sum": [3, 5, -1, -1, -1, 3, 997.5, -1],
        "lookup_mean": [1.5, 2.5, -1, -1, -1, 3, 498.75, 3e38],
        "lookup_min": [1, 1, -1, -1, -1, 3, -2.5, 3e38],
        "lookup_max": [2, 4, -1, -1, -1, 3, 1000, 3e38],
        "lookup_count": [2, 2, 0, 0, 0, 1, 2, 2],
        "lookup_hours": [2, 0, 0, 3, 0, 0, 0, 0],
    }
    no_raw = dict.fromkeys(columns, "lookup_number has no tf.feature_column over raw rows")


def test_sums_are_rounded_once(transform):
    # Added in float32 the small ones would be lost: 2^24 + 1 = 2^24.
    column = {"name": "x", "kind": "lookup_number", "source": "m", "key": "k", "missing": 0}
    spec = validate({"columns": [column]}, FeatureSpec, "spec")
    made = transform(spec, m=pa.array([["a:16777216", "a:1", "a:1", "a:1"]]), k=pa.array(["a"]))
    assert made["x"].numpy().tolist() == [[16777220]]


def test_it_feeds_an_expression(transform):
    columns = [
        {"name": "clicks", "kind": "lookup_number", "source": "m", "key": "k", "missing": 0},
        {"name": "some", "kind": "expression", "of": "clicks > 1", "missing": 0},
    ]
    made = transform(FeatureSpec.model_validate({"columns": columns}), m=pa.array([["a:1"], ["a:2"]]), k=["a", "a"])
    assert made["some"].numpy().tolist() == [[0], [1]]


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({}, "columns.0.missing: is missing", "a value for 'missing'"),
        ({"missing": float("inf")}, "columns.0.missing: is not right", "a finite number"),
        ({"missing": 0, "combiner": "sqrtn"}, "columns.0.combiner: is not right", "'sum', 'mean', 'min'"),
        ({"missing": 0, "source": "k"}, "columns.0: is not right", "has one input for the map and for the key"),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "lookup_number", "key": "k"} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected)
