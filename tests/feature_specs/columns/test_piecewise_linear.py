import numpy as np
import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN, INF = float("nan"), float("inf")


def of(source, **fields):
    return {"kind": "piecewise_linear", "source": f"piecewise_{source}"} | fields


class TestPiecewiseLinear(ColumnContract):
    rows = {
        "piecewise_tens": pa.array([0, 10, 20, 30, 40, 50, -10, 75], pa.float32()),
        "piecewise_zeros": pa.array([0, 0, 0, 0, 8, 2, -1, INF], pa.float64()),
        "piecewise_same": pa.array([7.0] * 6 + [9, 7]),
        "piecewise_gaps": pa.array([None, 5, 15, NAN, 20, -5, 30, None], pa.float64()),
        "piecewise_nothing": pa.array([None] * 6 + [2.5, None], pa.float32()),
        "piecewise_pair": pa.array([[0, 10], [20, 30], [40, 50], [5, None], None, [], [-10, 75], [10, 20]]),
        "piecewise_count": pa.array([-(2**63), 2**63 - 1, 0, 2**62, -(2**62), 1, -(2**61), 2**61]),
    }
    columns = {
        "piecewise_halves": of("tens", bins=2),
        "piecewise_thirds": of("tens", bins=3),
        "piecewise_zeros": of("zeros", bins=4),
        "piecewise_same": of("same", bins=3),
        "piecewise_nothing": of("nothing", bins=2, missing=1.0),
        "piecewise_median": of("gaps", bins=2, missing="median"),
        "piecewise_given": of("gaps", edges=[0.0, 10.0, 20.0], missing=10.0, indicator=True),
        "piecewise_vector": of("pair", shape=2, edges=[0.0, 10.0, 20.0], missing=5.0, indicator=True),
        "piecewise_vectors": of("pair", shape=[2], bins=2, missing=[0.0, 30.0]),
        "piecewise_count": of("count", edges=[-(2.0**63), 0.0, 2.0**63]),
    }
    transformed = {
        # The edges are 0, 30 and 50, the least value, tft's median and the greatest.
        "piecewise_halves": [
            [0, 0], [1 / 3, 0], [2 / 3, 0], [1, 0], [1, 0.5], [1, 1], [-1 / 3, 0], [1, 2.25]
        ],
        # 0, 20, 40 and 50.
        "piecewise_thirds": [
            [0, 0, 0], [0.5, 0, 0], [1, 0, 0], [1, 0.5, 0], [1, 1, 0], [1, 1, 1], [-0.5, 0, 0], [1, 1, 3.5]
        ],
        # 0, 0, 0, 2 and 8: two bins, and nothing in the other two.
        "piecewise_zeros": [
            [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 0, 0, 0],
            [-0.5, 0, 0, 0], [1, INF, 0, 0],
        ],
        # Of one value alone, or none, there is no bin.
        "piecewise_same": [[0, 0, 0]] * 8,
        "piecewise_nothing": [[0, 0]] * 8,
        # -5, 15 and 20; 15 is what stands in.
        "piecewise_median": [[1, 0], [0.5, 0], [1, 0], [1, 0], [1, 1], [0, 0], [1, 3], [1, 0]],
        "piecewise_given": [
            [1, 0, 1], [0.5, 0, 0], [1, 0.5, 0], [1, 0, 1], [1, 1, 0], [-0.5, 0, 0], [1, 2, 0], [1, 0, 1]
        ],
        "piecewise_vector": [
            [0, 0, 1, 0, 0, 0], [1, 1, 1, 2, 0, 0], [1, 3, 1, 4, 0, 0], [0.5, 0, 0.5, 0, 0, 1],
            [0.5, 0, 0.5, 0, 1, 1], [0.5, 0, 0.5, 0, 1, 1], [-1, 0, 1, 6.5, 0, 0], [1, 0, 1, 1, 0, 0],
        ],
        # Of both elements: 0, 20 and 50.
        "piecewise_vectors": [
            [0, 0, 0.5, 0], [1, 0, 1, 1 / 3], [1, 2 / 3, 1, 1], [0.25, 0, 1, 1 / 3], [0, 0, 1, 1 / 3],
            [0, 0, 1, 1 / 3], [-0.5, 0, 1, 55 / 30], [0.5, 0, 1, 0],
        ],
        "piecewise_count": [
            [0, 0], [1, 1], [1, 0], [1, 0.5], [0.5, 0], [1, 2.0**-63], [0.75, 0], [1, 0.25]
        ],
    }  # fmt: skip
    no_raw = dict.fromkeys(columns, "piecewise_linear has no tf.feature_column over raw rows")


def test_a_missing_value_is_missing_where_nothing_stands_in(transform):
    spec = validate({"columns": [{"name": "x", "kind": "piecewise_linear", "edges": [0, 1, 2]}]}, FeatureSpec, "spec")
    assert spec.columns[0].needs_value("x")
    assert transform(spec, x=[0.5, None, 1.5])["x"].numpy().tolist() == [[0.5, 0], [1, 0.5]]


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({}, "", "needs bins or edges, one of the two"),
        ({"bins": 2, "edges": [0, 1, 2]}, "", "needs bins or edges, one of the two"),
        ({"bins": 1}, ".bins", "greater than or equal to 2"),
        ({"edges": [0, 1]}, ".edges", "at least 3 items"),
        ({"edges": [0, 1, 1]}, "", "edges must increase, and be finite, as float32"),
        ({"edges": [0, 1, 1 + 1e-9]}, "", "edges must increase, and be finite, as float32"),
        ({"edges": [0, 1, 1e39]}, "", "edges must increase, and be finite, as float32"),
        ({"edges": [0, 1, NAN]}, ".edges.2", "a finite number"),
        ({"bins": 4, "indicator": True}, "", "has indicator: true, which is always 0 without `missing`"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "piecewise_linear"} | fields]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: columns.0{place}: is not right"


def test_a_division_is_a_division(transform):
    # Times the reciprocal of 3 or 7, as TensorFlow would have it in some graphs and not in others, many differ.
    spec = validate(
        {"columns": [{"name": "x", "kind": "piecewise_linear", "edges": [0, 3, 10, 11]}]}, FeatureSpec, "spec"
    )
    x = np.random.default_rng(0).uniform(0, 10, 1000).astype(np.float32)
    low, width = np.float32([0, 3]), np.float32([3, 7])
    expected = np.clip((x[:, None] - low) / width, 0, 1)
    np.testing.assert_array_equal(transform(spec, x=x)["x"].numpy()[:, :2], expected)
