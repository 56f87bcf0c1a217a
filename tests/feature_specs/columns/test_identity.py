import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


class TestIdentity(ColumnContract):
    rows = {
        "identity_inside": pa.array([0, 1, 2, 3, None, 3, 0, 1]),
        "identity_any": pa.array([0, 3, 4, -1, -2, None, 2**40, 1]),
        "identity_many": pa.array([[0, 3], [], None, [4, 0], [-1, 1], [2, 2], [9], [None, 1]]),
    }
    columns = {
        "identity_inside": {"kind": "identity", "buckets": 4},
        "identity_default": {"kind": "identity", "source": "identity_any", "buckets": 4, "default": 2},
        "identity_outside": {"kind": "identity", "source": "identity_any", "buckets": 4},
        "identity_many": {"kind": "identity", "buckets": 4},
        "identity_many_default": {"kind": "identity", "source": "identity_many", "buckets": 4, "default": 0},
    }
    transformed = {
        "identity_inside": [[0], [1], [2], [3], [], [3], [0], [1]],
        "identity_default": [[0], [3], [2], [], [2], [], [2], [1]],
        "identity_outside": [[0], [3], [-1], [], [-1], [], [-1], [1]],
        "identity_many": [[0, 3], [], [], [-1, 0], [1], [2, 2], [-1], [1]],
        "identity_many_default": [[0, 3], [], [], [0, 0], [1], [2, 2], [0], [1]],
    }


def test_the_default_is_an_id():
    with pytest.raises(SpecError, match="default must be below buckets, 4"):
        validate({"columns": [{"name": "x", "kind": "identity", "buckets": 4, "default": 4}]}, FeatureSpec, "spec")
