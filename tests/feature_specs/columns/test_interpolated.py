import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN, INF = float("nan"), float("inf")


def of(source, **fields):
    return {"kind": "interpolated", "source": f"interpolated_{source}"} | fields


class TestInterpolated(ColumnContract):
    rows = {
        "interpolated_x": pa.array([0, 5, 10, 15, 30, -INF, None, INF], pa.float64()),
        "interpolated_rank": pa.array([1, 2, 3, 4, 5, 6, -7, None]),
        "interpolated_same": pa.array([7, 7, 7, 7, 7, 7, 6, 8]),
        "interpolated_nothing": pa.array([None, NAN] * 3 + [2.5, -1], pa.float32()),
        "interpolated_count": pa.array([1, 1, 1, 9, 1, 0, 9, 9]),
        "interpolated_key": pa.array(["a", "a", "a", "b", "b", "b", "b", "c"]),
        "interpolated_pair": pa.array(
            [[1, 10], [2, 20], [3, 30], [4, 40], [5, 50], [6, 60], [None, 35], [3.5, None]], pa.list_(pa.float32())
        ),
        "interpolated_hollow": pa.array([[x, None] for x in range(1, 7)] + [[4, 4], None]),
    }
    columns = {
        "interpolated_at": of("x", boundaries=[0, 10, 30]),
        "interpolated_thirds": of("rank", quantiles=3),
        "interpolated_same": of("same", quantiles=4),
        "interpolated_nothing": of("nothing", quantiles=3),
        "interpolated_weighed": of("rank", quantiles=3, weights="interpolated_count"),
        "interpolated_per_key": of("rank", quantiles=3, per_key="interpolated_key"),
        "interpolated_vector": of("pair", shape=2, boundaries=[0.0, 4.0, 40.0]),
        "interpolated_vectors": of("pair", shape=[2], quantiles=3),
        "interpolated_each": of("pair", shape=2, quantiles=3, elementwise=True),
        "interpolated_all_per_key": of("pair", shape=2, quantiles=3, per_key="interpolated_key"),
        "interpolated_hollow": of("hollow", shape=2, quantiles=3, elementwise=True),
    }
    transformed = {
        "interpolated_at": [0, 0.25, 0.5, 0.625, 1, 0, 0.5, 1],
        # Between 3 and 5.
        "interpolated_thirds": [0, 0, 0, 0.5, 1, 1, 0, 0.5],
        # 7, 7 and 7.
        "interpolated_same": [1, 1, 1, 1, 1, 1, 0, 1],
        # Nothing is learned, and all boundaries are 0.
        "interpolated_nothing": [0.5] * 6 + [1, 0],
        # The weights add up to 13, of which 9 are those of 4.
        "interpolated_weighed": [0, 0, 0, 1, 1, 1, 0, 0.5],
        # Of a 2 and 3, of b 5 and 6, of all 3 and 5.
        "interpolated_per_key": [0, 0, 1, 0, 0, 1, 0, 0.5],
        "interpolated_vector": [
            [0.125, 0.5 + 6 / 72],
            [0.25, 0.5 + 16 / 72],
            [0.375, 0.5 + 26 / 72],
            [0.5, 1],
            [0.5 + 1 / 72, 1],
            [0.5 + 2 / 72, 1],
            [0.5, 0.5 + 31 / 72],
            [0.4375, 0.5],
        ],
        # Of both elements 5 and 30; of each 3 and 5, 30 and 50.
        "interpolated_vectors": [[0, 0.2], [0, 0.6], [0, 1], [0, 1], [0, 1], [0.04, 1], [0.5, 1], [0, 0.5]],
        "interpolated_each": [[0, 0], [0, 0], [0, 0], [0.5, 0.5], [1, 1], [1, 1], [0.5, 0.25], [0.25, 0.5]],
        # Of a 3 and 20, of b 6 and 50, of c, which training has not seen, 5 and 30.
        "interpolated_all_per_key": [
            [0, 7 / 17],
            [0, 1],
            [0, 1],
            [0, 34 / 44],
            [0, 1],
            [0, 1],
            [0.5, 29 / 44],
            [0, 0.5],
        ],
        # Training has no number for the second element: 3 and 5 of all.
        "interpolated_hollow": [[0, 0.5], [0, 0.5], [0, 0.5], [0.5, 0.5], [1, 0.5], [1, 0.5], [0.5, 0.5], [0.5, 0.5]],
    }
    no_raw = {name: "quantiles are learned" for name, told in columns.items() if "quantiles" in told}


def test_what_its_page_shows(page, transform):
    spec, raw, told = page("interpolated")
    assert transform(spec, x=pa.array(raw))["x"].numpy()[:, 0].tolist() == [float(number) for number in told]


@pytest.mark.parametrize("count", [2, 3, 50])
def test_equal_to_tf_transform(count, transform):
    rng = np.random.default_rng(count)
    boundaries = np.sort(rng.normal(size=count).astype(np.float32))
    numbers = np.concatenate([rng.normal(size=5000), boundaries, [NAN, INF, -INF, 0.0, -0.0]]).astype(np.float32)
    written = {"name": "x", "kind": "interpolated", "boundaries": boundaries.tolist()}
    ours = transform(FeatureSpec.model_validate({"columns": [written]}), x=numbers)["x"]
    theirs = tft.apply_buckets_with_interpolation(tf.constant(numbers), boundaries[None])
    np.testing.assert_array_equal(ours.numpy()[:, 0], theirs.numpy())


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({}, "", "needs boundaries or quantiles, one of the two"),
        ({"boundaries": [1]}, "", "needs at least 2 boundaries or 3 quantiles, to lie between"),
        ({"quantiles": 2}, "", "needs at least 2 boundaries or 3 quantiles, to lie between"),
        ({"boundaries": [2, 1]}, "", "boundaries must increase"),
        ({"boundaries": [1, 1 + 1e-9]}, "", "boundaries must increase, and be finite, as float32"),
        ({"boundaries": [-3e38, 3e38]}, "", "boundaries must increase, and be finite, as float32"),
        ({"boundaries": [1, NAN]}, ".boundaries.1", "a finite number"),
        ({"quantiles": 3, "elementwise": True}, "", "has elementwise, and no shape of several elements"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "interpolated"} | fields]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: columns.0{place}: is not right"
