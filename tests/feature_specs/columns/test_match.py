import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

BY_BOTH = {"kind": "match", "source": "match_map", "category": "match_category", "item": "match_item"}


class TestMatch(ColumnContract):
    rows = {
        "match_map": pa.array([
            ["ca^x:a,y:b", "cb^x:c"], ["ca^x:a", "ca^x:d,x:b"], ["cb^x:c"], None,
            ["x:a", "ca^", "ca^x", "^x:a", "ca^x:b,"], ["ü^ö:Hello"], ["ca^x:d"], ["7^x:a,x^y:b", "ca^x:a"],
        ]),
        "match_category": pa.array(["ca", "ca", "ca", "ca", "ca", "ü", "ca", "7"]),
        "match_item": pa.array(["x", "x", "x", "x", "x", "ö", None, "x"]),
        "match_of_codes": pa.array([
            "7^1:a,2:b|8^1:b", "7^2:b", "8^2:a|9^1:b", "", None, "7^1:a,-1:b", "8^1:a", "7^01:a",
        ]),
        "match_groups": pa.array([[7, 8], [7], [8, 9], [7], [7], [7], [7], [7]]),
        "match_code": pa.array([1, 1, 1, 1, 1, 1, 1, 1]),
    }  # fmt: skip
    inputs = {"match_of_codes": {"multi_valued": True}}
    columns = {
        "match_hashed": BY_BOTH | {"buckets": 10},
        "match_learned": BY_BOTH,
        "match_category_alone": {"kind": "match", "source": "match_map", "category": "match_category", "buckets": 10},
        "match_item_alone": {"kind": "match", "source": "match_map", "item": "match_item", "buckets": 10},
        "match_of_codes": {"kind": "match", "category": "match_groups", "item": "match_code", "vocabulary": ["a", "b"]},
    }
    hello = 15404698994557526151  # Fingerprint64("Hello"), as tensorflow/core/platform/fingerprint_test.cc has it
    transformed = {
        # a; a, d, b; nothing; nothing; b; Hello; nothing; a. Modulo 10 a, b, c, d are 9, 2, 2, 5.
        "match_hashed": [[9], [9, 5, 2], [], [], [2], [hello % 10], [], [9]],
        # Learned of the first six rows: b and a twice, d and Hello once.
        "match_learned": [[1], [1, 2, 0], [], [], [0], [3], [], [1]],
        "match_category_alone": [[9, 2], [9, 5, 2], [], [], [2], [hello % 10], [5], [9, 2]],
        "match_item_alone": [[9, 2], [9, 5, 2], [2], [], [2], [hello % 10], [], [9, 9]],
        "match_of_codes": [[0, 1], [], [1], [], [], [0], [], []],
    }
    no_raw = dict.fromkeys(columns, "match has no tf.feature_column over raw rows")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "has neither category nor item, needs one or both to match by"),
        ({"category": "c", "item": "c"}, "names an input twice"),
        ({"category": "m", "item": "c"}, "names an input twice"),
        ({"item": "i", "buckets": 3, "min_frequency": 2}, "has buckets, and min_frequency"),
    ],
)
def test_what_it_cannot_be(fields, expected):
    column = {"name": "x", "kind": "match", "source": "m"} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.0: is not right"
    assert expected in error.value.expected


@pytest.mark.parametrize("delimiter", ["^", ",", ":"])
def test_a_map_that_is_cut_inside(delimiter):
    column = {"name": "x", "kind": "match", "source": "m", "item": "i"}
    with pytest.raises(SpecError, match="'m' is cut at each"):
        validate({"inputs": {"m": {"delimiter": delimiter}}, "columns": [column]}, FeatureSpec, "spec")
