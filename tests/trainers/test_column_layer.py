"""The variables that columns declare: how they start, and that they are trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.column_layer import ColumnLayer

SIGMA = 0.3
SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "x", "kind": "numeric"},
        {"name": "waves", "kind": "periodic", "of": "x", "frequencies": 10_000, "sigma": SIGMA},
        {"name": "word", "kind": "hashed", "buckets": 5_000},
        {"name": "word_vec", "kind": "embedded", "of": "word", "dimension": 4},
    ]
})  # fmt: skip


@pytest.fixture
def layer():
    keras.utils.set_random_seed(1)
    return ColumnLayer(SPEC, {"deep": (SPEC.by_name["waves"], SPEC.by_name["word_vec"])}, {"word": 5_000})


def test_frequencies_start_from_a_normal_distribution(layer):
    start = np.asarray(layer.tables["waves"]["frequencies"])
    assert start.mean() == pytest.approx(0, abs=0.04 * SIGMA)
    assert start.std() == pytest.approx(SIGMA, rel=0.03)
    # Of a normal distribution 4.6 % lie beyond twice the standard deviation.
    assert (np.abs(start) > 2 * SIGMA).mean() == pytest.approx(0.0455, abs=0.01)


def test_a_table_starts_from_a_truncated_normal_distribution(layer):
    start = np.asarray(layer.tables["word_vec"]["table"])
    assert np.abs(start).max() <= 2 * 4**-0.5
    assert start.std() == pytest.approx(0.88 * 4**-0.5, rel=0.03)  # of what is left, as tf.feature_column has it


def test_frequencies_are_trained(layer):
    x = np.float32([[0.5], [-1.25]])
    with tf.GradientTape() as tape:
        encoded = layer.call({"x": tf.constant(x), "word": tf.constant([[1], [2]], tf.int64)})["deep"][0].values
        of_sines = tf.reduce_sum(encoded[:, :10_000])
    frequencies = layer.tables["waves"]["frequencies"]
    gradient = tape.gradient(of_sines, frequencies.value)
    # The derivative of sin(2 pi c x) by c is 2 pi x cos(2 pi c x).
    expected = (2 * np.pi * x * np.cos(2 * np.pi * x * np.asarray(frequencies, np.float64))).sum(axis=0)
    np.testing.assert_allclose(gradient, expected, rtol=1e-4, atol=1e-5)
    assert [variable.name for variable in layer.trainable_variables] == ["waves_frequencies", "word_vec_table"]


def tables(*fields, buckets=(5_000, 5_000)):
    """A layer of embeddings, one for each of `fields`, of columns with so many ids."""
    words = [{"name": f"w{i}", "kind": "hashed", "buckets": size} for i, size in enumerate(buckets)]
    vectors = [{"name": f"v{i}", "kind": "embedded", "of": f"w{i}", "dimension": 4} | f for i, f in enumerate(fields)]
    spec = FeatureSpec.model_validate({"columns": words + vectors})
    made = tuple(spec.by_name[f"v{i}"] for i in range(len(fields)))
    keras.utils.set_random_seed(1)
    return ColumnLayer(spec, {"deep": made}, spec.num_buckets({}))


@pytest.mark.parametrize(
    ("initializer", "mean", "deviation", "bounds"),
    [
        ({"name": "truncated_normal", "mean": 1, "stddev": 0.1}, 1, 0.088, (0.8, 1.2)),
        ({"name": "random_normal", "mean": -1, "stddev": 0.1}, -1, 0.1, (-2, 0)),
        ({"name": "random_uniform", "minval": 1, "maxval": 3}, 2, 3**-0.5, (1, 3)),
        ({"name": "constant", "value": 2.5}, 2.5, 0, (2.5, 2.5)),
        ({"name": "zeros"}, 0, 0, (0, 0)),
    ],
)
def test_a_table_starts_as_its_initializer_says(initializer, mean, deviation, bounds):
    start = np.asarray(tables({"initializer": initializer}).tables["v0"]["table"])
    assert start.mean() == pytest.approx(mean, abs=0.02)
    assert start.std() == pytest.approx(deviation, rel=0.03)
    assert bounds[0] <= start.min() <= start.max() <= bounds[1]
    if initializer["name"] == "random_normal":
        assert np.abs(start - mean).max() > 0.25  # beyond twice the standard deviation


def test_a_shared_table_is_one_weight():
    layer = tables({"shared": "words"}, {"shared": "words", "combiner": "sum"}, buckets=(9, 9))
    (table,) = layer.variables
    assert table.name == "words_table"
    with tf.GradientTape() as tape:
        ids = {"w0": tf.constant([[1], [2]], tf.int64), "w1": tf.constant([[2, 3], [4, 4]], tf.int64)}
        one, other = layer.call(ids)["deep"]
        total = tf.reduce_sum(one.values) + tf.reduce_sum(other.values)
    gradient = tf.convert_to_tensor(tape.gradient(total, table.value))
    np.testing.assert_array_equal(gradient[:, 0], [0, 1, 2, 1, 2, 0, 0, 0, 0])


def test_tables_of_their_own_are_two_weights():
    assert [v.name for v in tables({}, {}, buckets=(9, 9)).variables] == ["v0_table", "v1_table"]


def test_a_table_of_two_sizes():
    with pytest.raises(SpecError) as error:
        tables({"shared": "words"}, {"shared": "words"}, buckets=(9, 8))
    assert error.value.what == "columns.v1: its table is not like that of 'v0', which shares 'words'"
    assert error.value.expected == "columns of the same number of ids, 9 as 'v0' has"
    assert error.value.received == "8 ids"


def test_a_table_that_is_not_trained():
    layer = tables({"trainable": False}, {}, buckets=(9, 9))
    assert [v.name for v in layer.trainable_variables] == ["v1_table"]
    assert [v.name for v in layer.non_trainable_variables] == ["v0_table"]


def test_a_table_starts_from_what_is_saved(tmp_path):
    saved = np.arange(36, dtype=np.float32).reshape(9, 4)
    np.save(tmp_path / "table.npy", saved)
    layer = tables({"checkpoint": str(tmp_path / "table.npy")}, {}, buckets=(9, 9))
    before = np.asarray(layer.tables["v1"]["table"])
    layer.read_saved()
    np.testing.assert_array_equal(layer.tables["v0"]["table"], saved)
    np.testing.assert_array_equal(layer.tables["v1"]["table"], before)
