import math

import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


def of(measure, missing=-1.0):
    return {"kind": "overlap", "source": ["overlap_query", "overlap_title"], "measure": measure, "missing": missing}


class TestOverlap(ColumnContract):
    rows = {
        # The first is Alibaba's own example of an overlap_feature.
        "overlap_query": pa.array([
            ["high", "high2", "fiberglass", "abc"], ["a", "b"], ["b", "a", "a"], ["a"], [], None, ["ü", ""], ["x"],
        ]),
        "overlap_title": pa.array([
            ["high", "quality", "fiberglass", "tube", "for", "golf", "bag"], ["c", "b", "a"], ["a", "b", "b"], ["A"],
            ["a"], [], [None, "ü"], [""],
        ]),
        "overlap_codes": pa.array([[1, 2, 2, -1], [7], [], [3], [-1], [0], [2**62, 5], [5]]),
        "overlap_texts": pa.array(["1|3", "07", "1", "3|4|5", "-1", "0|1", "4611686018427387904", None]),
    }  # fmt: skip
    inputs = {"overlap_texts": {"dtype": "string", "multi_valued": True}}
    columns = {
        "overlap_common": of("common"),
        "overlap_query_ratio": of("query_common_ratio"),
        "overlap_title_ratio": of("title_common_ratio"),
        "overlap_contain": of("is_contain"),
        "overlap_equal": of("is_equal", missing=0.5),
        "overlap_jaccard": of("jaccard"),
        "overlap_dice": of("dice"),
        "overlap_cosine": of("cosine"),
        "overlap_codes": {"kind": "overlap", "source": ["overlap_codes", "overlap_texts"], "measure": "common",
                          "missing": -1.0},
    }  # fmt: skip
    # The sizes are 4, 7 and in common 2; 2, 3, 2; 2, 2, 2; 1, 1, 0; then one is empty, but for ü in both.
    transformed = {
        "overlap_common": [2, 2, 2, 0, -1, -1, 1, -1],
        "overlap_query_ratio": [1 / 2, 1, 1, 0, -1, -1, 1, -1],
        "overlap_title_ratio": [2 / 7, 2 / 3, 1, 0, -1, -1, 1, -1],
        "overlap_contain": [0, 1, 1, 0, -1, -1, 1, -1],
        "overlap_equal": [0, 0, 1, 0, 0.5, 0.5, 1, 0.5],
        "overlap_jaccard": [2 / 9, 2 / 3, 1, 0, -1, -1, 1, -1],
        "overlap_dice": [4 / 11, 4 / 5, 1, 0, -1, -1, 1, -1],
        "overlap_cosine": [2 / math.sqrt(28), 2 / math.sqrt(6), 1, 0, -1, -1, 1, -1],
        "overlap_codes": [1, 0, -1, 1, -1, 1, 1, -1],
    }
    no_raw = dict.fromkeys(columns, "overlap has no tf.feature_column over raw rows")


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({}, "columns.0.source: is missing", "a value for 'source'"),
        ({"source": ["a"]}, "columns.0.source.1: is missing", "a value for '1'"),
        ({"source": ["a", "a"]}, "columns.0: is not right", "source names an input twice"),
        ({"source": ["a", "b"], "measure": "tanimoto"}, "columns.0.measure: is not right", "'common', "),
        ({"source": ["a", "b"], "missing": None}, "columns.0.missing: is not right", "a valid number"),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "overlap", "measure": "dice", "missing": 0} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected)
