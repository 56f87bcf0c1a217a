"""The old tf.estimator beside Keras 3, in one process, and nothing of it where nobody asked."""

import importlib.util
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import SpecError
from tfloom.trainers import estimator_bridge


def test_the_namespace_is_the_old_one():
    estimator = estimator_bridge.load_estimator()
    for name in ("LinearClassifier", "DNNLinearCombinedClassifier", "Estimator", "RunConfig", "TrainSpec", "EvalSpec",
                 "train_and_evaluate", "ModeKeys", "FinalExporter"):  # fmt: skip
        assert hasattr(estimator, name), name
    assert estimator.export.ServingInputReceiver
    assert estimator is estimator_bridge.load_estimator() is estimator_bridge.tf.estimator
    assert estimator_bridge.tf.compat.v1.estimator.inputs.numpy_input_fn


def test_tensorflow_itself_is_not_changed():
    old = estimator_bridge.tf
    assert sys.modules["tensorflow"] is tf is not old
    assert not hasattr(tf, "estimator")
    assert tf.keras.Model is keras.Model is not old.keras.Model
    assert old.keras.__version__.startswith("2.")
    assert old.constant is tf.constant
    assert old.compat.v1.train is tf.compat.v1.train
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = old.nothing_like_it


def test_a_program_of_tensorflow_1(tmp_path):
    tf = estimator_bridge.tf.compat.v1
    x = np.arange(64, dtype=np.float32)
    model = tf.estimator.LinearRegressor([tf.feature_column.numeric_column("x")], model_dir=str(tmp_path),
                                         optimizer=tf.train.FtrlOptimizer(1.0))  # fmt: skip
    model.train(tf.estimator.inputs.numpy_input_fn({"x": x / 64}, x / 32, num_epochs=None, shuffle=False), steps=300)
    predictions = model.predict(tf.estimator.inputs.numpy_input_fn({"x": np.float32([0.5])}, shuffle=False))
    assert next(predictions)["predictions"] == pytest.approx([1.0], abs=0.05)


def test_a_model_fn_on_the_old_keras(tmp_path):
    tf = estimator_bridge.tf

    def model_fn(features, labels, mode):
        loss = tf.reduce_mean((tf.keras.layers.Dense(1, kernel_initializer="zeros")(features) - labels) ** 2)
        step = tf.compat.v1.train.GradientDescentOptimizer(0.1).minimize(loss, tf.compat.v1.train.get_global_step())
        return tf.estimator.EstimatorSpec(mode, loss=loss, train_op=step)

    def input_fn():
        return tf.data.Dataset.from_tensors((tf.ones([4, 1]), tf.ones([4, 1]))).repeat(20)

    model = tf.estimator.Estimator(model_fn, str(tmp_path)).train(input_fn)
    assert model.get_variable_value("dense/kernel") == pytest.approx(0.5, abs=1e-3)


def test_what_tensorflow_dropped_says_so():
    with pytest.raises(NotImplementedError, match="no longer has it"):
        sys.modules["tensorflow.python.tpu.tpu_embedding"].TPUEmbedding()


def test_without_the_package(monkeypatch):
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec",
                        lambda name: None if name == "tensorflow_estimator" else find_spec(name))  # fmt: skip
    with pytest.raises(SpecError) as error:
        estimator_bridge._old_tensorflow.__wrapped__()
    assert "tensorflow-estimator" in error.value.what
    assert "tfloom[estimator]" in error.value.expected
