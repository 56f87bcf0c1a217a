import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.numeric import Numeric
from tfloom.feature_specs.columns.periodic import Periodic
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

FREQUENCIES = np.array([1, -0.5], np.float32)
HALF = 0.5**0.5


class TestPeriodic(ColumnContract):
    rows = {"periodic_x": pa.array([0, 0.25, 0.5, -0.25, 1, None, 1000, -3], pa.float32())}
    columns = {
        "periodic_x": {"kind": "numeric", "missing": 2.0},
        "periodic_waves": {"kind": "periodic", "of": "periodic_x", "frequencies": 2, "sigma": 0.1},
    }
    transformed = {"periodic_x": [0, 0.25, 0.5, -0.25, 1, 2, 1000, -3]}
    tables = {"periodic_waves": FREQUENCIES}
    # The sines of 2 pi x and of -pi x, then the cosines.
    encoded = {
        "periodic_waves": [
            [0, 0, 1, 1],
            [1, -HALF, 0, HALF],
            [0, -1, -1, 0],
            [-1, HALF, 0, HALF],
            [0, 0, 1, -1],
            [0, 0, 1, 1],
            [0, 0, 1, 1],
            [0, 0, 1, -1],
        ]
    }
    no_raw = {"periodic_waves": "no tf.feature_column trains frequencies"}
    no_transformed = no_raw


def test_the_same_in_every_batch():
    rng = np.random.default_rng(0)
    column = Periodic(name="waves", of="x", frequencies=7, sigma=1.0)
    variables = {"frequencies": tf.constant(rng.normal(size=7), tf.float32)}
    x = rng.normal(size=(1001, 1)).astype(np.float32)
    together = encoded(column, x, variables)
    assert together.shape == (1001, 14)
    for size in (1, 7):
        apart = [encoded(column, x[i : i + size], variables) for i in range(0, 70, size)]
        np.testing.assert_array_equal(np.concatenate(apart), together[:70])


def encoded(waves, x, variables):
    columns = {"waves": waves, "x": Numeric(name="x")}
    return Encoded(columns, {"x": tf.constant(x)}, {"waves": variables}, {}).feature("waves").values.numpy()


def test_what_no_number_gives():
    column = Periodic(name="waves", of="x", frequencies=1, sigma=1.0)
    x = np.float32([[np.nan], [np.inf]])
    assert np.isnan(encoded(column, x, {"frequencies": tf.constant([1.0])})).all()


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"frequencies": 0}, ".frequencies", "greater than or equal to 1"),
        ({"sigma": 0.0}, ".sigma", "greater than 0"),
        ({"sigma": float("inf")}, ".sigma", "a finite number"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    waves = {"name": "waves", "kind": "periodic", "of": "x", "frequencies": 1, "sigma": 1.0} | fields
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "numeric"}, waves]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: columns.1{place}: is not right"


@pytest.mark.parametrize(
    "of",
    [
        {"kind": "bucketized", "boundaries": [0]},
        {"kind": "numeric", "missing": 0.0, "indicator": True},
        {"kind": "piecewise_linear", "bins": 2},
        {"kind": "image", "height": 2, "width": 2},
    ],
    ids=lambda of: of["kind"],
)
def test_what_is_not_one_number(of):
    waves = {"name": "waves", "kind": "periodic", "of": "y", "frequencies": 1, "sigma": 1.0}
    columns = [{"name": "x", "kind": "numeric"}, {"name": "y"} | of, waves]
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.waves.of: 'y' is not one number a row"
    assert error.value.expected == "a column of one number a row, one of: x"
    assert error.value.received == f"'y', which is {of['kind']}"
