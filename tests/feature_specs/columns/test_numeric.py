import tempfile

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.numeric import Numeric
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.resolve import resolve

NAN = float("nan")


def sigmoid(x):
    return 1 / (1 + np.exp(-np.float64(x)))


X = {"kind": "numeric", "source": "numeric_x"}
SALES = {"kind": "numeric", "source": "numeric_sales"}
VECTOR = {"kind": "numeric", "source": "numeric_vector", "shape": 3}
HOLES = {"kind": "numeric", "source": "numeric_holes", "shape": 3}
VECTORS = np.array([
    [1, 10, 7], [1, 10, 7], [1, 20, 7], [5, 20, 7], [5, 30, 7], [5, 30, 7], [4, 0, 9], [-3, 40, 8]
], np.float64)  # fmt: skip
LEARNED_OF = VECTORS[:6]


def in_shops(learned):
    """[8, 1]: of the vectors of the row's shop; of all of them where training has not seen it."""
    shops = {row: rows for rows in ([0, 1, 4], [2, 3], [5]) for row in rows} | {7: [2, 3]}
    return np.array([[learned(LEARNED_OF[shops.get(row, range(6))])] for row in range(8)])


class TestNumeric(ColumnContract):
    # Mean 3, variance 4; 1 to 5.
    rows = {
        "numeric_x": pa.array([1, 1, 1, 5, 5, 5, 4, -3], pa.float32()),
        "numeric_gaps": pa.array([None, 2, 4, NAN, 6, 4, None, 1], pa.float64()),
        "numeric_skewed": pa.array([None, 1, 1, NAN, 10, 1, None, 2], pa.float64()),
        "numeric_count": pa.array([0, 1, -1, 2**24 + 1, 7, 7, 3, -(2**40)]),
        "numeric_same": pa.array([7.0] * 6 + [9, 7]),
        "numeric_nothing": pa.array([None] * 6 + [2.5, None], pa.float32()),
        # An infinite number is a value like any other, but nothing is learned of it.
        "numeric_endless": pa.array([0, 0, 3, 3, np.inf, -np.inf, 1, np.inf], pa.float64()),
        "numeric_sales": pa.array([1, 3, 10, 20, 5, 8, 7, 30]),
        "numeric_lacking": pa.array([None, 3, 10, 20, 5, None, None, None], pa.float64()),
        "numeric_shop": pa.array(["a", "a", "ö b", "ö b", "a", None, "new", "ö b"]),
        "numeric_store": pa.array([0, 0, -(2**63), -(2**63), 0, 2**63 - 1, 7, -(2**63)]),
        "numeric_vector": pa.array(VECTORS.tolist(), pa.list_(pa.float64(), 3)),
        "numeric_holes": pa.array(
            [[1, None, 3], None, [3, NAN, None], [5, 2, 5], [], [3, 4, None], [None, None, None], [7, 8, 9]],
            pa.list_(pa.float32()),
        ),
        "numeric_hollow": pa.array([[x, None] for x in (0, 2, 4, 2, 2, 2)] + [[3, 8], [3, 2]], pa.list_(pa.int64())),
        "numeric_text": pa.array(["1;2", " 3; 4", ";6", "", "NA", "7;nan", None, "-1e3;?"]),
        "numeric_single": pa.array([[1], [2], None, [None], [5], [6], [7], [2**24 + 1]], pa.list_(pa.int64())),
    }
    inputs = {"numeric_text": {"dtype": "float32", "delimiter": ";", "na_values": ["?"]}}
    columns = {
        "numeric_plain": X,
        "numeric_z": X | {"scale": "z_score"},
        "numeric_01": X | {"scale": "min_max"},
        "numeric_zero_one": X | {"scale": "zero_one"},
        "numeric_range": X | {"scale": "min_max", "range": [-1.0, 3.0]},
        "numeric_robust": X | {"scale": "robust"},
        "numeric_gaussian": X | {"scale": "gaussian"},
        "numeric_clip": X | {"clip": [0.0, 4.5]},
        "numeric_clip_z": X | {"clip": [None, 3.0], "scale": "z_score"},
        "numeric_log": X | {"clip": [-0.5, None], "log1p": True},
        "numeric_endless_log": {
            "kind": "numeric", "source": "numeric_endless", "log1p": True, "scale": "min_max"
        },
        "numeric_mean": {"kind": "numeric", "source": "numeric_gaps", "missing": "mean"},
        "numeric_zero": {"kind": "numeric", "source": "numeric_gaps", "missing": 0.0},
        "numeric_mean_z": {"kind": "numeric", "source": "numeric_gaps", "missing": "mean", "scale": "z_score"},
        "numeric_zero_01": {"kind": "numeric", "source": "numeric_gaps", "missing": 0.0, "scale": "min_max"},
        "numeric_median": {"kind": "numeric", "source": "numeric_skewed", "missing": "median"},
        "numeric_told": {
            "kind": "numeric", "source": "numeric_skewed", "missing": 20.0, "clip": [None, 7.0], "indicator": True
        },
        "numeric_count": {"kind": "numeric"},
        "numeric_same_z": {"kind": "numeric", "source": "numeric_same", "scale": "z_score"},
        "numeric_same_01": {"kind": "numeric", "source": "numeric_same", "scale": "min_max", "range": [2.0, 4.0]},
        "numeric_same_robust": {"kind": "numeric", "source": "numeric_same", "scale": "robust"},
        "numeric_nothing_z": {"kind": "numeric", "source": "numeric_nothing", "missing": "mean", "scale": "z_score"},
        "numeric_nothing_01": {"kind": "numeric", "source": "numeric_nothing", "missing": 0.5, "scale": "min_max"},
        "numeric_nothing_key": {
            "kind": "numeric", "source": "numeric_nothing", "missing": "median", "scale": "gaussian",
            "per_key": "numeric_shop",
        },
        "numeric_shop_z": SALES | {"scale": "z_score", "per_key": "numeric_shop"},
        "numeric_store_01": SALES | {"scale": "zero_one", "per_key": "numeric_store"},
        "numeric_shop_robust": SALES | {"scale": "robust", "per_key": "numeric_shop"},
        "numeric_shop_mean": {
            "kind": "numeric", "source": "numeric_lacking", "missing": "mean", "per_key": "numeric_shop"
        },
        "numeric_shape": VECTOR,
        "numeric_axes": VECTOR | {"shape": [3, 1]},
        "numeric_shape_prepared": VECTOR | {"clip": [0.0, 20.0], "log1p": True},
        "numeric_shape_z": VECTOR | {"scale": "z_score"},
        "numeric_shape_01": VECTOR | {"scale": "min_max", "range": [-1.0, 1.0]},
        "numeric_shape_shop_z": VECTOR | {"scale": "z_score", "per_key": "numeric_shop"},
        "numeric_shape_shop_01": VECTOR | {"scale": "zero_one", "per_key": "numeric_shop"},
        "numeric_each_z": VECTOR | {"scale": "z_score", "elementwise": True},
        "numeric_each_01": VECTOR | {"scale": "zero_one", "elementwise": True},
        "numeric_each_robust": VECTOR | {"scale": "robust", "elementwise": True},
        "numeric_each_gaussian": VECTOR | {"scale": "gaussian", "elementwise": True},
        "numeric_each_clipped": VECTOR | {"clip": [None, 20.0], "scale": "zero_one", "elementwise": True},
        "numeric_holes_one": HOLES | {"missing": 1.5},
        "numeric_holes_list": HOLES | {"missing": [-1.0, -2.0, 30.0], "clip": [None, 20.0]},
        "numeric_holes_axes": HOLES | {"shape": [1, 3], "missing": [-1.0, -2.0, -3.0]},
        "numeric_holes_told": HOLES | {"missing": [-1.0, -2.0, -3.0], "indicator": True},
        "numeric_holes_mean": HOLES | {"missing": "mean"},
        "numeric_holes_each_mean": HOLES | {"missing": "mean", "elementwise": True},
        "numeric_holes_each_median": HOLES | {"missing": "median", "elementwise": True, "indicator": True},
        "numeric_hollow": {
            "kind": "numeric", "shape": [2], "missing": "mean", "scale": "z_score", "elementwise": True
        },
        "numeric_hollow_robust": {
            "kind": "numeric", "source": "numeric_hollow", "shape": 2, "missing": "median", "scale": "robust",
            "elementwise": True,
        },
        "numeric_text": {"kind": "numeric", "shape": 2, "missing": 0.0},
        "numeric_one": {"kind": "numeric", "source": "numeric_x", "shape": 1},
        "numeric_single": {"kind": "numeric", "shape": 1, "missing": -1.0},
    }  # fmt: skip
    transformed = {
        "numeric_plain": [1, 1, 1, 5, 5, 5, 4, -3],
        "numeric_z": [-1, -1, -1, 1, 1, 1, 0.5, -3],
        "numeric_01": [0, 0, 0, 1, 1, 1, 0.75, -1],
        "numeric_zero_one": [0, 0, 0, 1, 1, 1, 0.75, -1],
        "numeric_range": [-1, -1, -1, 3, 3, 3, 2, -5],
        # The quartiles of 1, 1, 1, 5, 5, 5 are 1, 5 and 5 to tft.quantiles.
        "numeric_robust": [-1, -1, -1, 0, 0, 0, -0.25, -2],
        # No tail is long: the z-score.
        "numeric_gaussian": [-1, -1, -1, 1, 1, 1, 0.5, -3],
        "numeric_clip": [1, 1, 1, 4.5, 4.5, 4.5, 4, 0],
        # Learned of what is clipped: 1, 1, 1, 3, 3, 3.
        "numeric_clip_z": [-1, -1, -1, 1, 1, 1, 1, -5],
        "numeric_log": [np.log(2)] * 3 + [np.log(6)] * 3 + [np.log(5), -np.log(2)],
        # Of 0 and ln 4; ln 2 lies between. -inf has no logarithm.
        "numeric_endless_log": [0, 0, 1, 1, np.inf, NAN, 0.5, np.inf],
        # What is learned, a mean of 4, is learned from the values present.
        "numeric_mean": [4, 2, 4, 4, 6, 4, 4, 1],
        "numeric_zero": [0, 2, 4, 0, 6, 4, 0, 1],
        "numeric_mean_z": [0, -(2**0.5), 0, 0, 2**0.5, 0, 0, -3 / 2**0.5],
        "numeric_zero_01": [-0.5, 0, 0.5, -0.5, 1, 0.5, -0.5, -0.25],
        "numeric_median": [1, 1, 1, 1, 10, 1, 1, 2],
        # What stands in is clipped like any other value.
        "numeric_told": [[7, 1], [1, 0], [1, 0], [7, 1], [7, 0], [1, 0], [7, 1], [2, 0]],
        "numeric_count": [0, 1, -1, 2**24, 7, 7, 3, -(2**40)],
        "numeric_same_z": [0, 0, 0, 0, 0, 0, 2, 0],
        "numeric_same_01": [2 + 2 * sigmoid(x) for x in [7] * 6 + [9, 7]],
        "numeric_same_robust": [0, 0, 0, 0, 0, 0, 2, 0],
        # Nothing to learn from: a mean of 0, no scale.
        "numeric_nothing_z": [0, 0, 0, 0, 0, 0, 2.5, 0],
        "numeric_nothing_01": [sigmoid(0.5)] * 6 + [sigmoid(2.5), sigmoid(0.5)],
        "numeric_nothing_key": [0, 0, 0, 0, 0, 0, 2.5, 0],
        # a: 1, 3, 5; b: 10, 20; a missing key is a key, with 8 alone. Of all rows the mean is 47/6, of squares 599/6.
        "numeric_shop_z": [
            -2 / (8 / 3) ** 0.5, 0, -1, 1, 2 / (8 / 3) ** 0.5, 0, (7 - 47 / 6) / (599 / 6 - (47 / 6) ** 2) ** 0.5, 3
        ],
        "numeric_store_01": [0, 0.5, 0, 1, 1, sigmoid(8), 6 / 19, 2],
        # Quartiles: 1, 3, 5; 10, 20, 20; 8, 8, 8; of all rows 3, 8, 10.
        "numeric_shop_robust": [-0.5, 0, -1, 0, 0.5, 0, -1 / 7, 1],
        # No row without a shop has a number: the mean of all, 38/4.
        "numeric_shop_mean": [4, 3, 10, 20, 5, 9.5, 9.5, 15],
        "numeric_shape": VECTORS,
        "numeric_axes": VECTORS,
        "numeric_shape_prepared": np.log1p(np.clip(VECTORS, 0, 20)),
        # Of all elements together.
        "numeric_shape_z": (VECTORS - np.mean(LEARNED_OF)) / np.std(LEARNED_OF),
        "numeric_shape_01": (VECTORS - 1) / 29 * 2 - 1,
        "numeric_shape_shop_z": (VECTORS - in_shops(np.mean)) / in_shops(np.std),
        "numeric_shape_shop_01": (VECTORS - in_shops(np.min)) / in_shops(np.ptp),
        # Of each alone. The third has one value.
        "numeric_each_z": (VECTORS - [3, 20, 7]) / [2, (200 / 3) ** 0.5, 1],
        "numeric_each_01": [
            [(x - 1) / 4, (y - 10) / 20, sigmoid(z)] for x, y, z in VECTORS
        ],
        # The quartiles of the second are 10, 20 and 30.
        "numeric_each_robust": (VECTORS - [5, 20, 7]) / [4, 20, 1],
        "numeric_each_gaussian": (VECTORS - [3, 20, 7]) / [2, (200 / 3) ** 0.5, 1],
        "numeric_each_clipped": [
            [(x - 1) / 4, (min(y, 20) - 10) / 10, sigmoid(z)] for x, y, z in VECTORS
        ],
        # An element in its place, and the whole vector.
        "numeric_holes_one": [
            [1, 1.5, 3], [1.5] * 3, [3, 1.5, 1.5], [5, 2, 5], [1.5] * 3, [3, 4, 1.5], [1.5] * 3, [7, 8, 9]
        ],
        "numeric_holes_list": [
            [1, -2, 3], [-1, -2, 20], [3, -2, 20], [5, 2, 5], [-1, -2, 20], [3, 4, 20], [-1, -2, 20], [7, 8, 9]
        ],
        "numeric_holes_axes": [
            [1, -2, 3], [-1, -2, -3], [3, -2, -3], [5, 2, 5], [-1, -2, -3], [3, 4, -3], [-1, -2, -3], [7, 8, 9]
        ],
        "numeric_holes_told": [
            [1, -2, 3, 0, 1, 0], [-1, -2, -3, 1, 1, 1], [3, -2, -3, 0, 1, 1], [5, 2, 5, 0, 0, 0],
            [-1, -2, -3, 1, 1, 1], [3, 4, -3, 0, 0, 1], [-1, -2, -3, 1, 1, 1], [7, 8, 9, 0, 0, 0],
        ],
        # 26/8; of each 3, 3 and 4.
        "numeric_holes_mean": [
            [1, 3.25, 3], [3.25] * 3, [3, 3.25, 3.25], [5, 2, 5], [3.25] * 3, [3, 4, 3.25], [3.25] * 3, [7, 8, 9]
        ],
        "numeric_holes_each_mean": [
            [1, 3, 3], [3, 3, 4], [3, 3, 4], [5, 2, 5], [3, 3, 4], [3, 4, 4], [3, 3, 4], [7, 8, 9]
        ],
        # To tft.quantiles the median of 2 and 4 is 4, that of 3 and 5 is 5.
        "numeric_holes_each_median": [
            [1, 4, 3, 0, 1, 0], [3, 4, 5, 1, 1, 1], [3, 4, 5, 0, 1, 1], [5, 2, 5, 0, 0, 0],
            [3, 4, 5, 1, 1, 1], [3, 4, 5, 0, 0, 1], [3, 4, 5, 1, 1, 1], [7, 8, 9, 0, 0, 0],
        ],
        # Of an element without any number it is that of all: the mean 2, the variance 4/3; the quartiles 2, 2 and 2.
        "numeric_hollow": [
            [(x - 2) / (4 / 3) ** 0.5, (y - 2) / (4 / 3) ** 0.5]
            for x, y in [(0, 2), (2, 2), (4, 2), (2, 2), (2, 2), (2, 2), (3, 8), (3, 2)]
        ],
        "numeric_hollow_robust": [[-2, 0], [0, 0], [2, 0], [0, 0], [0, 0], [0, 0], [1, 6], [1, 0]],
        "numeric_text": [[1, 2], [3, 4], [0, 6], [0, 0], [0, 0], [7, 0], [0, 0], [-1000, 0]],
        "numeric_one": [1, 1, 1, 5, 5, 5, 4, -3],
        "numeric_single": [1, 2, -1, -1, 5, 6, 7, 2**24],
    }  # fmt: skip
    no_raw = {
        name: "its scale is learned, no tf.feature_column over raw rows has it"
        for name, told in columns.items()
        if "scale" in told or told.get("missing") in ("mean", "median")
    } | dict.fromkeys(
        ("numeric_told", "numeric_holes_told"), "no tf.feature_column tells whether a value is missing"
    )  # fmt: skip


# -- the same as tf.Transform's own mappers ----------------------------------------------------------------------------

SCALES = ("z_score", "min_max", "gaussian", "robust")
ROWS, OF_OHIO = 500, 100


def drawn():
    """Numbers with long tails about 2013, far from 0, with keys whose name starts alike; Ohio has one number alone."""
    rng = np.random.default_rng(0)
    x = (2013 + rng.standard_t(2, ROWS) * 3).astype(np.float32)
    key = rng.choice(["New York", "New Jersey", "", "Utah"], ROWS, p=[0.5, 0.3, 0.19, 0.01])
    x[:OF_OHIO], key[:OF_OHIO] = 2013.1, "Ohio"
    return {"x": x, "key": key, "v": np.stack([x, rng.normal(size=ROWS), rng.exponential(size=ROWS)], 1, dtype="f4")}


@pytest.fixture(scope="module")
def beside():
    """By name, [ROWS]: our columns, and what tft makes of the same rows, by one job."""
    rows = drawn()
    spec = FeatureSpec.model_validate({
        "columns": [
            {"name": f"{scale}{'_per_key' if by else ''}", "kind": "numeric", "source": "x", "scale": scale} | by
            for scale in SCALES for by in ({}, {"per_key": "key"})
        ] + [
            {"name": f"{scale}{'_each' if each else '_all'}", "kind": "numeric", "source": "v", "shape": 3,
             "scale": scale, "elementwise": each}
            for scale in SCALES for each in (True, False)
        ]
    })  # fmt: skip
    with raw_rows.opened(pa.table(rows | {"v": rows["v"].tolist()})) as sources:
        spec = resolve(spec, sources)

    def both(inputs):
        x = tf.reshape(tf.sparse.to_dense(inputs["x"]), [-1])
        key = tf.reshape(tf.sparse.to_dense(inputs["key"]), [-1])
        exact = tf.cast(x, tf.float64)
        quartiles = tft.quantiles(x, 4, epsilon=0.001)[0]
        of_york = tf.sparse.retain(tf.sparse.from_dense(exact), key == "New York")
        theirs = {
            "z_score": tft.scale_to_z_score(x),
            "z_score_per_key": tft.scale_to_z_score_per_key(exact, key),
            "min_max": tft.scale_to_0_1(x),
            "min_max_per_key": tft.scale_to_0_1_per_key(x, key),
            "gaussian": tft.scale_to_gaussian(exact),
            "gaussian_per_key": tf.scatter_nd(
                of_york.indices, tft.scale_to_gaussian(of_york).values, [tf.size(key, tf.int64)]
            ),
            "robust": (x - quartiles[1]) / (quartiles[2] - quartiles[0]),
        }
        v = tf.reshape(tf.sparse.to_dense(inputs["v"]), [-1, 3])
        for each in (True, False):
            of, quartiles = "each" if each else "all", tft.quantiles(v, 4, 0.001, reduce_instance_dims=not each)
            lower, median, upper = tf.unstack(quartiles, axis=-1)
            theirs |= {
                f"z_score_{of}": tft.scale_to_z_score(tf.cast(v, tf.float64) if each else v, elementwise=each),
                f"min_max_{of}": tft.scale_to_0_1(v, elementwise=each),
                f"gaussian_{of}": tft.scale_to_gaussian(tf.cast(v, tf.float64), elementwise=each),
                f"robust_{of}": (v - median) / (upper - lower),
            }
        theirs = {f"tft_{name}": tf.cast(value, tf.float32) for name, value in theirs.items()}
        return preprocessing_fn(spec)(inputs) | theirs

    metadata = tft.DatasetMetadata.from_feature_spec(spec.raw_feature_spec())
    examples = [{"x": [x], "key": [key], "v": v} for x, key, v in zip(*rows.values(), strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        with (
            tft_beam.Context(temp_dir=folder, desired_batch_size=ROWS),
            beam.Pipeline(runner=FnApiRunner()) as pipeline,
        ):
            graph = (pipeline | beam.Create(examples), metadata) | tft_beam.AnalyzeDataset(both)
            _ = graph | tft_beam.WriteTransformFn(f"{folder}/out")
        layer = tft.TFTransformOutput(f"{folder}/out").transform_features_layer()
    sparse = {
        "x": tf.sparse.from_dense(rows["x"][:, None]),
        "key": tf.RaggedTensor.from_row_lengths(rows["key"].astype(object), [1] * ROWS).to_sparse(),
        "v": tf.sparse.from_dense(rows["v"]),
    }
    return {name: np.squeeze(value.numpy()) for name, value in layer(sparse).items()}


@pytest.mark.slow
@pytest.mark.parametrize("name", [s + by for s in SCALES for by in ("", "_per_key") if s + by != "robust_per_key"])
def test_equal_to_the_mapper_of_tf_transform(name, beside):
    key = drawn()["key"]
    told = np.ones(ROWS, bool)
    if name == "gaussian_per_key":  # which it does not have: of one key it is that of the key's rows alone
        told = key == "New York"
    if name == "z_score_per_key":  # whose variance it takes by subtracting large numbers
        told = key != "Ohio"
        np.testing.assert_allclose(beside[name][told], beside[f"tft_{name}"][told], rtol=1e-6)
    else:
        np.testing.assert_array_equal(beside[name][told], beside[f"tft_{name}"][told])


@pytest.mark.slow
@pytest.mark.parametrize("name", [scale + of for scale in SCALES for of in ("_each", "_all")])
def test_a_vector_equal_to_the_mapper_of_tf_transform(name, beside):
    assert beside[name].shape == beside[f"tft_{name}"].shape == (ROWS, 3)
    # Of each element its numbers are added up in another order.
    most = 1e-6 if name in ("z_score_each", "gaussian_each") else 0
    np.testing.assert_allclose(beside[name], beside[f"tft_{name}"], rtol=most, atol=most)


@pytest.mark.slow
def test_a_key_of_equal_numbers_is_not_scaled(beside):
    assert np.isnan(beside["tft_z_score_per_key"][:OF_OHIO]).all()  # of a variance below 0
    for name in ("z_score_per_key", "robust_per_key", "gaussian_per_key"):
        np.testing.assert_array_equal(beside[name][:OF_OHIO], np.zeros(OF_OHIO))


@pytest.mark.slow
def test_a_long_tail_becomes_short(beside):
    # Student's t with two degrees of freedom has no variance.
    assert np.abs(beside["z_score"]).max() > 8
    assert np.abs(beside["gaussian"]).max() < 4
    assert np.array_equal(np.argsort(drawn()["x"]), np.argsort(beside["gaussian"]))


@pytest.mark.slow
def test_robust_per_key_is_within_the_error_of_the_sketch(beside):
    rows = drawn()
    for key in ("New York", "New Jersey", ""):
        x, scaled = (of[rows["key"] == key].astype(np.float64) for of in (rows["x"], beside["robust_per_key"]))
        # So few rows that the error is less than one of them: a quantile is a value beside the exact one.
        near = 2 / len(x)
        assert np.quantile(x, 0.5 - near) <= x[np.abs(scaled).argmin()] <= np.quantile(x, 0.5 + near)
        between = np.ptp(x) / np.ptp(scaled)
        least, most = (np.quantile(x, 0.75 + d) - np.quantile(x, 0.25 - d) for d in (-near, near))
        assert least <= between <= most


# -- the spec ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("missing", "needs"), [(None, True), (0.0, False), ("mean", False), ("median", False)])
def test_a_row_without_a_value(missing, needs):
    assert Numeric(name="x", kind="numeric", missing=missing).needs_value("x") is needs


@pytest.mark.parametrize(("shape", "size"), [(1, 1), (3, 3), ([2, 3], 6), ([1, 1], 1)])
def test_how_many_numbers_a_row_holds(shape, size):
    column = Numeric.model_validate({"name": "x", "per_key": "k", "scale": "z_score", "shape": shape})
    assert column.vector_size("x") == size
    assert column.vector_size("k") is None
    assert Numeric(name="x").vector_size("x") is None


def test_a_row_without_a_key_is_a_row():
    assert not Numeric(name="x", kind="numeric", scale="z_score", per_key="k").needs_value("k")


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"missing": NAN}, ".missing", "a finite number"),
        ({"missing": float("inf")}, ".missing", "a finite number"),
        ({"missing": -float("inf")}, ".missing", "a finite number"),
        ({"missing": "mode"}, ".missing", "'mean' or 'median'"),
        ({"scale": "log1p"}, ".scale", "'z_score', 'min_max', 'zero_one', 'gaussian' or 'robust'"),
        ({"indicator": True}, "", "has indicator: true, which is always 0 without `missing`"),
        ({"clip": [1.0]}, ".clip", "at least 2 items"),
        ({"clip": [1.0, 2.0, 3.0]}, ".clip", "at most 2 items"),
        ({"clip": [None, None]}, "", "has a clip without a bound"),
        ({"clip": [2.0, 2.0]}, "", "has a clip that does not increase"),
        ({"clip": [NAN, 2.0]}, ".clip.0", "a finite number"),
        ({"clip": [None, -1.0], "log1p": True}, "", "has log1p of what is clipped to -1 or less"),
        ({"range": [0.0, 1.0]}, "", "has a range, which is for scale: min_max"),
        ({"range": [0.0, 2.0], "scale": "zero_one"}, "", "has a range, which is for scale: min_max"),
        ({"range": [1.0, 1.0], "scale": "min_max"}, "", "has a range that does not increase"),
        ({"per_key": "k"}, "", "has per_key and learns nothing"),
        ({"per_key": "k", "missing": 0.0, "clip": [0.0, 1.0]}, "", "has per_key and learns nothing"),
        ({"per_key": "x", "scale": "z_score"}, "", "has per_key of the number itself"),
        ({"shape": 0}, ".shape", "greater than or equal to 1"),
        ({"shape": []}, ".shape", "at least 1 item"),
        ({"shape": [2, 0]}, ".shape.1", "greater than or equal to 1"),
        ({"shape": 2, "missing": [1.0]}, "", "has 1 numbers for `missing`, and a row holds 2"),
        ({"missing": [1.0]}, "", "has a list for `missing`, and no shape"),
        ({"shape": 2, "missing": [1.0, NAN]}, ".missing.1", "a finite number"),
        ({"elementwise": True, "scale": "z_score"}, "", "has elementwise, and no shape of several elements"),
        ({"elementwise": True, "shape": [1], "scale": "z_score"}, "", "has elementwise, and no shape of several"),
        ({"elementwise": True, "shape": 2, "missing": 0.0}, "", "has elementwise and learns nothing"),
        ({"elementwise": True, "shape": 2, "scale": "z_score", "per_key": "k"}, "", "has elementwise and per_key"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        validate({"columns": [{"name": "x", "kind": "numeric"} | fields]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: columns.0{place}: is not right"


@pytest.mark.parametrize(
    ("keys", "what"),
    [
        ([0.5, 1.5], "columns.x: numeric cannot read 'k', which holds float32"),
        ([["a"], ["b"]], "columns.x: numeric cannot read 'k', which is multi-valued"),
    ],
)
def test_a_key_is_one_string_or_integer(keys, what):
    spec = FeatureSpec.model_validate(
        {"columns": [{"name": "x", "kind": "numeric", "scale": "z_score", "per_key": "k"}]}
    )
    with raw_rows.opened(pa.table({"x": [1.0, 2.0], "k": keys})) as sources, pytest.raises(SpecError) as error:
        resolve(spec, sources)
    assert error.value.what.startswith(what)
