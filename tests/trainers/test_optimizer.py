"""What an optimizer of a train spec does to a weight, step by step, and how its learning rate goes."""

import numpy as np
import pytest
import tensorflow as tf

import tfloom
from tests.trainers.test_keras_trainer import assert_same, cut_off_at
from tfloom.feature_specs.errors import SpecError
from tfloom.trainers import keras_trainer, network
from tfloom.trainers.optimizer import learning_rate, optimizer
from tfloom.trainers.train_spec import TrainSpec, load_train_spec

SGD = {"optimizer": "sgd", "learning_rate": 0.1, "batch_size": 32}
TSM = SGD | {"learning_rate_batch": 64, "learning_rate": 0.02, "momentum": 0.9, "weight_decay": 5e-4, "clip_norm": 20,
             "schedule": "step", "milestones": [20, 40], "epochs": 50}  # fmt: skip


def rates(steps, of=10, **fields):
    """The rate at the steps of epochs of `of` steps."""
    rate = learning_rate(TrainSpec(**SGD | fields), of)
    return [float(rate(step)) if callable(rate) else rate for step in steps]


# -- the learning rate ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("batch", "said_for", "rate"), [(32, None, 0.1), (32, 64, 0.05), (128, 64, 0.2), (64, 64, 0.1)]
)
def test_the_rate_is_in_proportion_to_the_batch(batch, said_for, rate):
    assert rates([0], batch_size=batch, learning_rate_batch=said_for) == [pytest.approx(rate)]


def test_a_step_is_a_tenth_from_the_first_step_of_its_epoch():
    told = rates([0, 19, 20, 39, 40, 100], schedule="step", milestones=[2, 4])
    assert told == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_it_warms_up_to_its_own():
    assert rates([0, 4, 9, 10, 50], warm_up_epochs=1) == pytest.approx([0.01, 0.05, 0.1, 0.1, 0.1])
    cosine = {"schedule": "cosine", "epochs": 10}
    for step in (0, 4, 9, 10, 50):
        share = min(1, (step + 1) / 5)
        assert rates([step], warm_up_epochs=0.5, **cosine) == pytest.approx([share * rates([step], **cosine)[0]])


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"optimizer": "adam", "momentum": 0.9}, "has a momentum, which adam does not take"),
        ({"schedule": "step"}, "milestones go with schedule: step, and it with them"),
        ({"milestones": [2]}, "milestones go with schedule: step, and it with them"),
        ({"schedule": "step", "milestones": [4, 2]}, "milestones are epochs in rising order"),
    ],
)
def test_what_does_not_go_together(fields, expected):
    with pytest.raises(SpecError) as error:
        load_train_spec(changes={name: str(value) for name, value in fields.items()})
    assert error.value.expected == expected


@pytest.mark.parametrize("fields", [TSM, {"mixed_precision": True}, {"warm_up_epochs": 2}, {"clip_norm": 1.0}])
def test_an_estimator_takes_none_of_it(transformed_files, tmp_path, fields):
    fields = {"trainer": "estimator", "label": "late", "backbone": "linear"} | fields
    with pytest.raises(SpecError, match="the trainer estimator does not take it"):
        tfloom.train(transformed_files, tmp_path / "model", fields)


# -- the step ---------------------------------------------------------------------------------------------------------


def test_momentum_decay_and_clipping_are_those_of_pytorch():
    """torch.optim.SGD: v = momentum v + (g + decay w), w = w - rate v, of gradients clipped to one norm together."""
    spec = TrainSpec(**SGD | {"momentum": 0.9, "weight_decay": 0.1, "clip_norm": 0.5})
    made = optimizer(spec, 10)
    weights = [network.keras.Variable(np.float32([[0.6, -0.8]])), network.keras.Variable(np.float32([0.5]))]
    made.build(weights)
    expected = [np.array(one.value, np.float64) for one in weights]
    velocity = [np.zeros_like(one) for one in expected]
    for step in range(3):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(weights[0].value * [[1.0 + step, 2.0]]) + 3 * tf.reduce_sum(weights[1].value)
            total = tf.add_n([loss, *keras_trainer.decay(spec, weights)])
        made.apply(tape.gradient(total, [one.value for one in weights]), weights)
        gradients = [np.array([[1.0 + step, 2.0]]) + 0.1 * expected[0], np.array([3.0])]  # a bias does not decay
        norm = np.sqrt(sum((one**2).sum() for one in gradients))
        for i, gradient in enumerate(gradients):
            velocity[i] = 0.9 * velocity[i] + gradient * min(1, 0.5 / norm)
            expected[i] = expected[i] - 0.1 * velocity[i]
    for one, value in zip(weights, expected, strict=True):
        np.testing.assert_allclose(one.value, value, rtol=1e-5)


# -- mixed precision --------------------------------------------------------------------------------------------------

MIXED = {"label": "late", "backbone": {"name": "wide_deep", "hidden": [8]}, "batch_size": 12, "epochs": 2,
         "learning_rate": 0.01, "mixed_precision": True, "checkpoint_steps": 4}  # fmt: skip


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_a_run_in_mixed_precision_learns_resumes_and_is_exported_in_float32(
    transformed_files, tmp_path, monkeypatch, precision
):
    monkeypatch.setattr(network, "mixed", lambda: precision)
    whole = tfloom.train(transformed_files, tmp_path / "whole", MIXED)
    full = tfloom.train(transformed_files, tmp_path / "full", MIXED | {"mixed_precision": False})
    with pytest.raises(KeyboardInterrupt):
        tfloom.train(transformed_files, tmp_path / "model", MIXED, report=cut_off_at(2, 10))
    assert_same(tfloom.train(transformed_files, tmp_path / "model", MIXED), whole)
    losses = [[row["train"]["loss"] for row in one.read("history.json")] for one in (whole, full)]
    np.testing.assert_allclose(losses[0], losses[1], rtol=0.02)
    assert losses[0] != losses[1]
    loaded, _ = keras_trainer.load(whole)
    assert loaded.precision == "float32"
    export = tfloom.export(whole, tmp_path / "export")  # whose golden rows the C API has run
    assert export.path.is_dir()


def test_layers_made_afterwards_are_of_the_policy_before(transformed_files):
    made, _ = network.build(
        transformed_files.spec, transformed_files.num_buckets, TrainSpec(**MIXED).resolved(transformed_files.spec), True
    )
    assert made.precision == "mixed_bfloat16"
    assert network.keras.layers.Dense(1).dtype_policy.name == "float32"
