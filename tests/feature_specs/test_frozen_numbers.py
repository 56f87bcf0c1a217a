"""Numbers that must never move: what has been trained and served stands on them.

Those of TensorFlow's own tests are from tensorflow/python/feature_column/feature_column_v2_test.py, where not said
otherwise. What the columns' own tests hold literally is not said again.
"""

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.preprocess import preprocess


def spec(dtype, **fields):
    return FeatureSpec.model_validate({"inputs": {"x": {"dtype": dtype}}, "columns": [{"name": "x"} | fields]})


def test_the_fingerprint_of_a_text(transform):
    hello = 15404698994557526151  # tensorflow/core/platform/fingerprint_test.cc
    assert int.from_bytes(tf.fingerprint(["Hello"])[0].numpy().tobytes(), "little") == hello
    for buckets in (997, 2**31 - 1):
        assert transform(spec("string", kind="hashed", buckets=buckets), x=["Hello"])["x"] == [[hello % buckets]]


@pytest.mark.parametrize(
    ("dtype", "fields", "values", "ids"),
    [
        ("string", {"kind": "hashed", "buckets": 10}, ["omar", "stringer", "marlo"], [6, 4, 1]),
        ("int64", {"kind": "hashed", "buckets": 10}, [101, 201, 301], [3, 7, 5]),
        ("string", {"kind": "vocabulary", "vocabulary": ["omar", "stringer", "marlo"], "oov_buckets": 100},
         ["marlo", "skywalker", "omar", "heisenberg"], [2, 33, 0, 62]),
        ("int64", {"kind": "vocabulary", "vocabulary": [30, 35, 11, 23, 22], "oov_buckets": 100},
         [11, 100, 30, 22], [2, 60, 0, 4]),
    ],
)  # fmt: skip
def test_ids_as_tensorflow_tests_them(dtype, fields, values, ids, transform):
    assert transform(spec(dtype, **fields), x=values)["x"] == [[one] for one in ids]


def test_a_cross_of_three_texts(transform):
    # test_hashed_no_hash_key of tensorflow/python/ops/sparse_ops_test.py
    texts = {f"x{i}": [f"batch1-FC{i}-F1"] for i in (1, 2, 3)}
    written = {"name": "c", "kind": "crossed", "of": [{"input": name} for name in texts], "buckets": 100}
    assert transform(FeatureSpec.model_validate({"columns": [written]}), **texts)["c"] == [[83]]


def test_a_cross_of_a_vector_in_buckets(transform):
    # test_get_sparse_tensors_simple of CrossedColumnTest
    of_vector = {"name": "b", "kind": "bucketized", "source": "a", "shape": [2], "boundaries": [0, 1]}
    crossed = {"name": "crossed", "kind": "crossed", "of": ["b", {"input": "c"}], "buckets": 5, "hash_key": 5}
    made = transform(
        FeatureSpec.model_validate({"columns": [of_vector, crossed]}), a=[[-1.0, 0.5], [0.5, 1.0]],
        c=[["cA"], ["cB", "cC"]],
    )  # fmt: skip
    assert made["b"] == [[0, 4], [1, 5]]
    assert made["crossed"] == [[1, 0], [1, 3, 4, 2]]


@pytest.mark.parametrize(
    ("ids", "weights", "summed"),
    [
        # test_transform_with_weighted_column, and with_missing_value_in_weighted_column
        (["c", "b", "a", "c"], [2.0, 4, 6, 1], [6, 4, 3]),
        (["c", "b", "unknown"], [2.0, 4, 6], [0, 4, 2]),
    ],
)
def test_an_indicator_sums_weights_up(ids, weights, summed, transform):
    spec = FeatureSpec.model_validate({"columns": [
        {"name": "ids", "kind": "vocabulary", "source": "x", "vocabulary": ["a", "b", "c"]},
        {"name": "by", "kind": "weighted", "of": "ids", "weights": "w"},
        {"name": "sums", "kind": "indicator", "of": "by"},
    ]})  # fmt: skip
    values = {name: np.array(value) for name, value in transform(spec, x=[ids], w=[weights]).items()}
    values["by"] = values["by"].astype(np.float32)
    sums = Encoded(spec.by_name, values, {}, spec.num_buckets({})).feature("sums").values
    assert sums.numpy().tolist() == [summed]


def test_term_frequency_times_inverse_document_frequency(tmp_path):
    """The example of tft.tfidf's own documentation."""
    columns = [
        {"name": "words", "kind": "text", "source": "x"},
        {"name": "weighed", "kind": "tf_idf", "of": "words"},
    ]
    spec = FeatureSpec.model_validate({"columns": columns, "split": {"by": "column", "source": "part"}})
    texts = pa.table({"x": ["I like pie pie pie", "yum yum pie"], "part": ["train"] * 2})
    (shard,) = preprocess(spec, {None: texts}, tmp_path / "out").examples("train")
    summed = []
    for record in tf.data.TFRecordDataset(shard, "GZIP").as_numpy_iterator():
        told = tf.train.Example.FromString(record).features.feature
        ids, weights = told["words"].int64_list.value, told["weighed"].float_list.value
        summed.append(np.bincount(ids, weights, 4))
    # pie, yum, like, i
    expected = [[0.6, 0, 0.28109303, 0.28109303], [0.33333334, 0.9369768, 0, 0]]
    np.testing.assert_allclose(summed, expected, rtol=1e-6)


def test_keras_gives_these_ids_and_its_lookup_does_not():
    texts = tf.constant(["a", "b", "c", "d"])
    assert keras.layers.Hashing(10)(texts).numpy().tolist() == [9, 2, 2, 5]
    assert keras.layers.StringLookup(vocabulary=["a", "b"])(tf.constant(["a", "b", "", "z"])).numpy().tolist() == [
        1, 2, 0, 0
    ]  # fmt: skip


def test_keras_crosses_alike(transform):
    a, b = ["a", "b", ""], ["x", "", "ü"]
    written = {"name": "c", "kind": "crossed", "of": [{"input": "a"}, {"input": "b"}], "buckets": 1000}
    ours = transform(FeatureSpec.model_validate({"columns": [written]}), a=a, b=b)["c"]
    theirs = keras.layers.HashedCrossing(1000)((tf.constant(a), tf.constant(b)))
    assert ours == [[one] for one in theirs.numpy().tolist()]


ALONE = {
    "sqrt": lambda x: tf.sqrt(tf.abs(x)),
    "divide": lambda x: x / tf.constant(3.7),
    "erf": tf.math.erf,
    "tanh": tf.tanh,
} | {
    f"{function.__name__} in float64": lambda x, f=function: tf.cast(f(tf.cast(x, tf.float64)), tf.float32)
    for function in (tf.math.log1p, tf.exp, tf.sin, tf.cos, tf.sigmoid)
}  # fmt: skip


@pytest.mark.parametrize("name", ALONE)
def test_a_value_does_not_depend_on_where_its_row_stands(name):
    """Columns are made of these: materialised in large batches, they are served one by one."""
    x = np.random.default_rng(0).normal(size=20_011).astype(np.float32)
    x = np.abs(x) if "log1p" in name else x
    whole = ALONE[name](tf.constant(x)).numpy()
    for size in (1, 7, 1_000, 1_001):
        parts = [ALONE[name](tf.constant(x[i : i + size])).numpy() for i in range(0, min(len(x), 700 * size), size)]
        made = np.concatenate(parts)
        assert made.tobytes() == whole[: len(made)].tobytes()
