"""A weight of 2 is the row twice, a weight of 0 is no row: in the loss, its gradients, what is learned, and metrics."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs import FeatureSpec
from tfloom.feature_specs.errors import DataError
from tfloom.trainers import inputs, metrics
from tfloom.trainers.keras_trainer import weighted_mean
from tfloom.trainers.train import load

SPEC = {
    "columns": [{"name": "x", "kind": "numeric"}, {"name": "town", "kind": "identity", "buckets": 4}],
    "labels": [
        {"name": "late", "source": "y", "above": 0},
        {"name": "y"},
        {"name": "size", "classes": 3},
        {"name": "kept", "above": 0, "missing": "keep"},
    ],
    "split": {"by": "column", "source": "part"},
}


def rows(times):
    """60 rows with a weight of 0 to 3; `times`: each as often as its weight says, in place of a weight."""
    numbers = np.arange(60)
    table = pa.table(
        {
            "x": numbers * 17 % 60 / 60,
            "town": numbers % 4,
            "y": numbers % 4 - 1.5 + numbers * 7 % 11 / 4 - 1.25,
            "size": numbers * 5 % 3,
            "kept": [None if i % 10 == 4 else i % 2 * 2.0 - 1 for i in numbers],
            "part": ["eval" if i % 3 == 2 else "train" for i in numbers],
            "w": numbers * 13 % 7 % 4,
        }
    )
    return table.take(np.repeat(numbers, table["w"])) if times else table


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Of weighted rows, and of rows as often."""
    folder = tmp_path_factory.mktemp("weights")
    weighted = FeatureSpec.model_validate(SPEC | {"weight": {"source": "w"}})
    return (
        tfloom.preprocess(weighted, rows(times=False), folder / "weighted"),
        tfloom.preprocess(FeatureSpec.model_validate(SPEC), rows(times=True), folder / "often"),
    )


def test_the_loss_of_a_batch_and_its_gradients():
    weights = np.float32([2, 1, 3])
    losses = tf.Variable([0.5, 1.5, 0.25])
    often = tf.Variable(np.repeat(losses.numpy(), weights.astype(int)))
    with tf.GradientTape(persistent=True) as tape:
        weighted, plain = weighted_mean(losses, tf.constant(weights)), weighted_mean(often)
    assert float(weighted) == float(plain) == np.float32((2 * 0.5 + 1.5 + 3 * 0.25) / 6)
    np.testing.assert_allclose(tape.gradient(weighted, losses), [2 / 6, 1 / 6, 3 / 6])
    np.testing.assert_allclose(tape.gradient(plain, often), [1 / 6] * 6)


def test_a_batch_of_no_rows_has_no_loss():
    assert float(weighted_mean(tf.zeros([0]), tf.zeros([0]))) == float(weighted_mean(tf.zeros([0]))) == 0.0


def test_weights_stand_beside_the_labels_but_for_rows_without(outputs):
    """Which are not there, whatever their loss would be."""
    data = [*inputs.batches(outputs[0], "train", 16, outputs[0].spec.label("late"))]
    weights = np.concatenate([weights for _, _, weights in data])
    assert weights.dtype == np.float32
    train = rows(times=False).filter((pc.field("part") == "train") & (pc.field("w") > 0))
    assert weights.tolist() == train["w"].to_pylist()
    assert len(train) < 40
    for features, labels, weights in data:
        assert {len(one) for one in features.values()} == {len(labels)} == {len(weights)}
    assert [len(batch) for batch in inputs.batches(outputs[1], "train", 1_000, outputs[1].spec.label("late"))] == [2]


def test_rows_without_a_label_are_left_out_with_their_weights(outputs):
    (_, labels, weights), *_ = inputs.batches(outputs[0], "train", 1_000, outputs[0].spec.label("kept"))
    kept = pc.is_valid(pc.field("kept")) & (pc.field("w") > 0)
    train = rows(times=False).filter((pc.field("part") == "train") & kept)
    assert weights.numpy().tolist() == train["w"].to_pylist()
    assert labels.numpy().tolist() == [int(kept > 0) for kept in train["kept"].to_pylist()]


def test_keras_takes_them_as_sample_weights(outputs):
    """model.fit of a dataset of (features, labels, weights)."""
    import keras

    given = tfloom.keras_inputs(outputs[0])
    told = keras.layers.Dense(1, kernel_initializer="zeros")(given["x"])
    model = keras.Model(given, told)
    model.compile(loss="mse", optimizer="sgd")
    losses = model.evaluate(tfloom.dataset(outputs[0], "train", 1_000, label="y"), verbose=0)
    train = rows(times=False).filter((pc.field("part") == "train") & (pc.field("w") > 0))
    y, weights = np.array(train["y"]), np.array(train["w"])
    assert losses == pytest.approx(np.mean(weights * y**2), rel=1e-5)  # Keras divides by the rows


@pytest.mark.parametrize("trainer", ["keras", "estimator"])
@pytest.mark.parametrize("label", ["late", "y", "size"])
def test_what_is_learned_is_what_rows_as_often_teach(outputs, tmp_path, trainer, label):
    """By gradient descent on whole epochs: every step is that of the other, and so is every metric."""
    fields = {"trainer": trainer, "label": label, "epochs": 3, "batch_size": 1_000, "optimizer": "sgd",
              "learning_rate": 0.5, "backbone": {"name": "linear"}}  # fmt: skip
    models = [tfloom.train(output, tmp_path / name, fields) for output, name in zip(outputs, "ab", strict=True)]
    one, other = (load(model)[0] for model in models)
    features, *_ = next(iter(inputs.batches(outputs[0], "eval", 1_000, outputs[0].spec.label(label))))
    told = one(features).numpy()
    assert np.abs(told).max() > 0.05
    np.testing.assert_allclose(told, other(features), rtol=1e-4, atol=1e-6)
    for mine, theirs in zip(*(model.read("history.json") for model in models), strict=True):
        assert mine["train"] == pytest.approx(theirs["train"], rel=1e-5)
        assert mine["eval"] == pytest.approx(theirs["eval"], rel=1e-4)
    counted = tfloom.evaluate(models[0], split="eval")
    held_out = rows(times=False).filter(pc.field("part") == "eval")
    assert counted.pop("rows") == sum(w > 0 for w in held_out["w"].to_pylist())
    on_rows = tfloom.evaluate(models[0], held_out, slice_by="town")
    assert metrics.numbers(on_rows) == pytest.approx(metrics.numbers(counted), rel=1e-6)
    for town, of in on_rows["slices"].items():
        plain = tfloom.evaluate(models[1], rows(times=True).filter(
            (pc.field("part") == "eval") & (pc.field("town") == town)))  # fmt: skip
        assert metrics.numbers(of) == pytest.approx(metrics.numbers(plain), rel=1e-4, nan_ok=True), town


def test_nothing_that_counts(outputs, tmp_path):
    model = tfloom.train(outputs[0], tmp_path / "model", {"label": "y", "epochs": 1, "backbone": {"name": "linear"}})
    nothing = rows(times=False).filter(pc.field("w") == 0)
    assert len(nothing)
    with pytest.raises(DataError, match="has no row with a label to evaluate on"):
        tfloom.evaluate(model, nothing)
