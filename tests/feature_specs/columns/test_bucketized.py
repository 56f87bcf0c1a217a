import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN = float("nan")
PAIR = {"kind": "bucketized", "source": "bucketized_pair", "boundaries": [0, 10, 20]}
RISING = {"kind": "bucketized", "source": "bucketized_rising", "shape": 2, "quantiles": 2}
KEYED = {"kind": "bucketized", "source": "bucketized_keyed", "quantiles": 2}


class TestBucketized(ColumnContract):
    rows = {
        "bucketized_x": pa.array([-5, 0, 9.99, 10, 20, 1e9, NAN, None], pa.float64()),
        "bucketized_tenths": pa.array([0.1, 0.3, 0.1 + 1e-10, 0.1 - 1e-7, 0.2, -0.0, 0.7, 0.69], pa.float64()),
        "bucketized_rank": pa.array([1, 2, 3, 4, 5, 6, -1000, 1000]),
        "bucketized_same": pa.array([7, 7, 7, 7, 7, 7, 6, 8]),
        "bucketized_nothing": pa.array([None] * 6 + [1.5, None], pa.float32()),
        "bucketized_weight": pa.array([1, 1, 1, 7, 0, NAN, 5, None], pa.float32()),
        "bucketized_keyed": pa.array([1, 2, 3, 40, 50, 6, 45, 5], pa.float32()),
        "bucketized_key": pa.array(["a", "a", "a", "b", "b", None, "b", "c"]),
        "bucketized_number": pa.array([7, 7, 7, -1, -1, 8, -1, 9]),
        "bucketized_count": pa.array([1, 1, 5, 3, 1, 1, 9, 9]),
        "bucketized_gaps": pa.array([1, 2, None, 40, 50, NAN, None, float("inf")], pa.float32()),
        "bucketized_pair": pa.array([[-5, 100], [0, None], [10, 5], None, [15, 20], [NAN, 0], [], [9.99, 10]]),
        "bucketized_rising": pa.array([[1, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60], [0, 35], [9, 99]]),
        "bucketized_hollow": pa.array([[x, None] for x in range(1, 7)] + [[0, 5], [9, 3]]),
    }
    inputs = {"bucketized_number": {"dtype": "int64"}}
    columns = {
        "bucketized_at": {"kind": "bucketized", "source": "bucketized_x", "boundaries": [0, 10, 20]},
        # Compared in float32, where 0.1 + 1e-10 is 0.1.
        "bucketized_tenth": {"kind": "bucketized", "source": "bucketized_tenths", "boundaries": [0.0, 0.1, 0.7]},
        "bucketized_one": {"kind": "bucketized", "source": "bucketized_rank", "boundaries": [3]},
        "bucketized_thirds": {"kind": "bucketized", "source": "bucketized_rank", "quantiles": 3},
        "bucketized_same_q": {"kind": "bucketized", "source": "bucketized_same", "quantiles": 4},
        "bucketized_nothing_q": {"kind": "bucketized", "source": "bucketized_nothing", "quantiles": 4},
        "bucketized_weighed": {
            "kind": "bucketized", "source": "bucketized_rank", "quantiles": 4, "weights": "bucketized_weight"
        },
        "bucketized_per_key": KEYED | {"per_key": "bucketized_key"},
        "bucketized_per_number": KEYED | {"per_key": "bucketized_number"},
        "bucketized_per_key_weighed": KEYED | {"per_key": "bucketized_key", "weights": "bucketized_count"},
        "bucketized_per_key_gaps": {
            "kind": "bucketized", "source": "bucketized_gaps", "quantiles": 3, "per_key": "bucketized_key"
        },
        "bucketized_vector": PAIR | {"shape": 2},
        "bucketized_axes": PAIR | {"shape": [2, 1]},
        "bucketized_all": RISING,
        "bucketized_each": RISING | {"elementwise": True},
        "bucketized_each_weighed": RISING | {"elementwise": True, "weights": "bucketized_count"},
        "bucketized_all_weighed": RISING | {"quantiles": 3, "weights": "bucketized_count"},
        "bucketized_all_per_key": RISING | {"per_key": "bucketized_key"},
        "bucketized_each_hollow": RISING | {"source": "bucketized_hollow", "elementwise": True},
    }  # fmt: skip
    transformed = {
        "bucketized_at": [[0], [1], [1], [2], [3], [3], [3], [3]],
        "bucketized_tenth": [[2], [2], [2], [1], [2], [1], [3], [2]],
        "bucketized_one": [[0], [0], [1], [1], [1], [1], [0], [1]],
        "bucketized_thirds": [[0], [0], [1], [1], [2], [2], [0], [2]],
        "bucketized_same_q": [[3], [3], [3], [3], [3], [3], [0], [3]],
        "bucketized_nothing_q": [[3]] * 8,
        # A boundary is the first number by which more than its share of the weight has come. Of 1, 1, 1 and 7 that is
        # 3, 4 and 4; a row of weight 0, or none, teaches nothing.
        "bucketized_weighed": [[0], [0], [1], [3], [3], [3], [0], [3]],
        # Of a 2, of b 50, of what has no key 6; of all, and so of c, 6.
        "bucketized_per_key": [[0], [1], [1], [0], [1], [1], [0], [0]],
        "bucketized_per_number": [[0], [1], [1], [0], [1], [1], [0], [0]],
        # Of a 3, of b 40; of all 3.
        "bucketized_per_key_weighed": [[0], [0], [1], [1], [1], [1], [1], [1]],
        # Of a 1 and 2, of b 40 and 50, of all 2 and 40; what is missing is last.
        "bucketized_per_key_gaps": [[1], [2], [2], [1], [2], [2], [2], [2]],
        # The second element has the ids from 4 on; what is missing, or all of it, is last among those of its element.
        "bucketized_vector": [[0, 7], [1, 7], [2, 5], [3, 7], [2, 7], [3, 5], [3, 7], [1, 6]],
        "bucketized_axes": [[0, 7], [1, 7], [2, 5], [3, 7], [2, 7], [3, 5], [3, 7], [1, 6]],
        # Of all elements 10, of each 4 and 40; where they have weights 3 and 30.
        "bucketized_all": [[0, 3]] * 8,
        "bucketized_each": [[0, 2], [0, 2], [0, 2], [1, 3], [1, 3], [1, 3], [0, 2], [1, 3]],
        "bucketized_each_weighed": [[0, 2], [0, 2], [1, 3], [1, 3], [1, 3], [1, 3], [0, 3], [1, 3]],
        # The weights of all elements add up to 24: 8 are passed at 4, 16 at 30.
        "bucketized_all_weighed": [[0, 4], [0, 4], [0, 5], [1, 5], [1, 5], [1, 5], [0, 5], [1, 5]],
        # Of a 10, of b 40, of what has no key 60.
        "bucketized_all_per_key": [[0, 3], [0, 3], [0, 3], [0, 3], [0, 3], [0, 3], [0, 2], [0, 3]],
        # Training has no number for the second element: 4 of all.
        "bucketized_each_hollow": [[0, 3], [0, 3], [0, 3], [1, 3], [1, 3], [1, 3], [0, 3], [1, 2]],
    }
    no_raw = {name: "quantiles are learned" for name, told in columns.items() if "quantiles" in told}


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({}, "columns.0", "needs boundaries or quantiles, one of the two"),
        ({"boundaries": [1], "quantiles": 2}, "columns.0", "needs boundaries or quantiles, one of the two"),
        ({"boundaries": [1, 1]}, "columns.0", "boundaries must increase"),
        ({"boundaries": []}, "columns.0.boundaries", "at least 1 item"),
        ({"boundaries": [1, "b"]}, "columns.0.boundaries.1", "a valid number"),
        ({"boundaries": [1, NAN]}, "columns.0.boundaries.1", "a finite number"),
        ({"boundaries": [1, float("inf")]}, "columns.0.boundaries.1", "a finite number"),
        ({"boundaries": [1], "weights": "w"}, "columns.0", "has weights, which is for quantiles, and boundaries"),
        ({"boundaries": [1], "per_key": "k"}, "columns.0", "has per_key, which is for quantiles, and boundaries"),
        ({"quantiles": 2, "weights": "x"}, "columns.0", "has weights of the number itself"),
        ({"quantiles": 2, "per_key": "x"}, "columns.0", "has per_key of the number itself"),
        ({"quantiles": 1}, "columns.0.quantiles", "greater than or equal to 2"),
        ({"boundaries": [1], "shape": 0}, "columns.0.shape", "greater than or equal to 1"),
        ({"boundaries": [1], "shape": 2, "elementwise": True}, "columns.0", "has elementwise, which is for quantiles"),
        ({"quantiles": 2, "elementwise": True}, "columns.0", "has elementwise, and no shape of several elements"),
        ({"quantiles": 2, "shape": 2, "elementwise": True, "per_key": "k"}, "columns.0", "has elementwise and per_key"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "bucketized"} | fields]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {place}: is not right"
