import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

# The nested map of Alibaba's own example of a match_feature.
BRANDS = "50011740^107287172:0.2,36806676:0.3,122572685:0.5|50006842^16788816:0.1,10122:0.2,29889:0.3,30068:19"
MAPS = {"kind": "match_number", "source": "match_brands", "missing": -1.0}


class TestMatchNumber(ColumnContract):
    rows = {
        "match_brands": pa.array([
            BRANDS, BRANDS, BRANDS, "", None, "50006842^30068:x,30068:2,30068:5|50006842^30068:-1", BRANDS,
            "ALL^30068:20|50006842^10122:1",
        ]),
        "match_root": pa.array(["50006842", "50011740", "", *["50006842"] * 5]),
        "match_brand": pa.array([30068, 30068, 30068, 30068, 30068, 30068, 10122, 30068]),
    }  # fmt: skip
    inputs = {"match_brands": {"multi_valued": True}, "match_brand": {"dtype": "int64"}}
    columns = {
        "match_both": MAPS | {"category": "match_root", "item": "match_brand"},
        "match_root_mean": MAPS | {"category": "match_root", "combiner": "mean"},
        "match_root_count": MAPS | {"category": "match_root", "combiner": "count"},
        "match_brand_max": MAPS | {"item": "match_brand", "combiner": "max"},
        "match_brand_min": MAPS | {"item": "match_brand", "combiner": "min"},
    }
    transformed = {
        "match_both": [19, -1, -1, -1, -1, 6, 0.2, -1],
        "match_root_mean": [4.9, 1 / 3, -1, -1, -1, 2, 4.9, 1],
        "match_root_count": [4, 3, -1, -1, -1, 3, 4, 1],
        "match_brand_max": [19, 19, 19, -1, -1, 5, 0.2, 20],
        "match_brand_min": [19, 19, 19, -1, -1, -1, 0.2, 20],
    }
    no_raw = dict.fromkeys(columns, "match_number has no tf.feature_column over raw rows")


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({"item": "i"}, "columns.0.missing: is missing", "a value for 'missing'"),
        ({"missing": 0}, "columns.0: is not right", "has neither category nor item"),
        ({"missing": 0, "item": "i", "combiner": "last"}, "columns.0.combiner: is not right", "'sum', 'mean', 'min'"),
        ({"missing": 0, "item": "x"}, "columns.0: is not right", "names an input twice"),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "match_number"} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected)
