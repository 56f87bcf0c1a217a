"""The variables that columns declare: how they start, and that they are trained."""

import keras
import numpy as np
import pytest
import tensorflow as tf

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
