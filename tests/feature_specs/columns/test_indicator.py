import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


class TestIndicator(ColumnContract):
    rows = {
        "indicator_tags": pa.array([["a"], ["b", "a", "b"], [], None, ["z"], ["z", "c", "c"], ["a"], ["c", "b", "a"]]),
        "indicator_x": pa.array([1.0, None, -1.0, 0.0, 5.0, 5.0, 0.0, 2.0]),
        "indicator_pair": pa.array([[1, -1], None, [-1, 1], [0, 0], [-2, None], [5, 5], [-1, -1], [2, 2]]),
    }
    inputs = {"indicator_tags": {"multi_valued": True}}
    columns = {
        "indicator_tags": {"kind": "vocabulary", "vocabulary": ["a", "b", "c"]},
        "indicator_counts": {"kind": "indicator", "of": "indicator_tags"},
        "indicator_at": {"kind": "bucketized", "source": "indicator_x", "boundaries": [0]},
        "indicator_buckets": {"kind": "indicator", "of": "indicator_at"},
        "indicator_pair": {"kind": "bucketized", "shape": 2, "boundaries": [0]},
        "indicator_pairs": {"kind": "indicator", "of": "indicator_pair"},
        "indicator_cross": {"kind": "crossed", "of": ["indicator_tags", "indicator_at"], "buckets": 1},
        "indicator_crosses": {"kind": "indicator", "of": "indicator_cross"},
    }
    transformed = {
        "indicator_tags": [[0], [1, 0, 1], [], [], [-1], [-1, 2, 2], [0], [2, 1, 0]],
        "indicator_at": [[1], [1], [0], [1], [1], [1], [1], [1]],
        "indicator_pair": [[1, 2], [1, 3], [0, 3], [1, 3], [0, 3], [1, 3], [0, 2], [1, 3]],
        "indicator_cross": [[0], [0] * 3, [], [], [0], [0] * 3, [0], [0] * 3],
    }
    # Duplicates are counted, out-of-vocabulary and absent are all zeros.
    encoded = {
        "indicator_counts": [
            [1, 0, 0], [1, 2, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 2], [1, 0, 0], [1, 1, 1]
        ],
        "indicator_buckets": [[0, 1], [0, 1], [1, 0], [0, 1], [0, 1], [0, 1], [0, 1], [0, 1]],
        "indicator_pairs": [
            [0, 1, 1, 0], [0, 1, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1], [1, 0, 0, 1], [0, 1, 0, 1], [1, 0, 1, 0],
            [0, 1, 0, 1],
        ],
        "indicator_crosses": [[1], [3], [0], [0], [1], [3], [1], [3]],
    }  # fmt: skip


def test_what_has_no_ids():
    with pytest.raises(SpecError) as error:
        validate(
            {"columns": [{"name": "x", "kind": "numeric"}, {"name": "x_in", "kind": "indicator", "of": "x"}]},
            FeatureSpec, "spec",
        )  # fmt: skip
    assert error.value.what == "spec: columns.x_in.of: 'x' has no ids"
    assert error.value.received == "'x', which is numeric"
