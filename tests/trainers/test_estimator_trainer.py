"""The Estimator trainer beside Keras: the same transform output, model directory, predictions and export."""

import json
import math
import shutil

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs import FeatureSpec, parsed_rows, tensor_json
from tfloom.feature_specs.directories import TransformOutput, write_json
from tfloom.feature_specs.errors import SpecError
from tfloom.trainers import estimator_trainer, export, inputs, predictor
from tfloom.trainers.estimator_bridge import load_estimator
from tfloom.trainers.head import head
from tfloom.trainers.train import load
from tfloom.trainers.train_spec import TrainSpec

SPEC = {
    "columns": [
        {"name": "x", "kind": "numeric", "scale": "z_score"},
        {"name": "age", "kind": "bucketized", "source": "x", "boundaries": [-1, 0, 1]},
        {"name": "town", "kind": "vocabulary", "top_k": 3},  # the rest is -1
        {"name": "tags", "kind": "hashed", "buckets": 7},  # none, one or several a row
        {"name": "tags_top", "kind": "vocabulary", "source": "tags", "vocabulary": ["wind", "rain"]},  # snow is -1
        {"name": "tags_by", "kind": "weighted", "of": "tags_top", "weights": "amounts"},
        {"name": "tags_by_in", "kind": "indicator", "of": "tags_by"},
        {"name": "town_tags", "kind": "crossed", "of": ["town", "tags"], "buckets": 11},
        {"name": "town_vec", "kind": "embedded", "of": "town", "dimension": 2},
        {"name": "town-long.vec", "kind": "embedded", "of": "town", "dimension": 3, "max_norm": 0.5},
        {"name": "tags_vec", "kind": "embedded", "of": "tags", "dimension": 2, "combiner": "sqrtn"},
        {"name": "age_in", "kind": "indicator", "of": "age"},
    ],
    "labels": [
        {"name": "late", "source": "y", "above": 0},
        {"name": "y_value", "source": "y"},
        {"name": "size", "classes": ["small", "middle", "large"]},
        {"name": "answer", "classes": ["no", "yes"]},
    ],
    "split": {"by": "hash", "eval": 0.1, "test": 0.1},
    "groups": {
        "wide": ["x", "age", "town", "tags", "tags_by", "town_tags"],
        "deep": ["x", "town_vec", "town-long.vec", "tags_vec", "age_in", "tags_by_in"],
    },
}


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    rng = np.random.default_rng(3)
    x = rng.normal(size=300)
    towns = rng.choice(["Oslo", "Bergen", "Molde", "Hamar", "Vadso"], size=300, p=[0.3, 0.3, 0.2, 0.1, 0.1])
    y = x + (towns == "Oslo") + rng.normal(0, 0.3, size=300)
    # Among them 0 and what is less: of a dense tensor tf.feature_column would drop the one.
    amounts = rng.choice([0.0, 0.5, -1.0, 2.0], size=(300, 3))
    rows = {
        "x": pa.array(x),
        "town": pa.array(towns),
        "tags": pa.array([["rain", "snow", "wind"][: i % 4] for i in range(300)], pa.list_(pa.string())),
        "amounts": pa.array([list(row[: i % 4]) for i, row in enumerate(amounts)], pa.list_(pa.float32())),
        "y": pa.array(y),
        "size": pa.array(np.where(y < -0.5, "small", np.where(y < 1, "middle", "large"))),
        "answer": pa.array(np.where(y > 0, "yes", "no")),
    }
    out = tmp_path_factory.mktemp("estimator") / "transformed"
    return tfloom.preprocess(FeatureSpec.model_validate(SPEC), pa.table(rows), out)


def spec(**fields):
    return {"trainer": "estimator", "epochs": 1, "batch_size": 64, "learning_rate": 0.1, **fields}


def materialised(output):
    """Every row of the train split as the network reads it."""
    features, _ = next(iter(inputs.batches(output, "train", 1_000, output.spec.labels[0])))
    return {name: value.numpy() for name, value in features.items()}


@pytest.mark.parametrize("label", ["late", "y_value"])
@pytest.mark.parametrize("backbone", ["linear", "dnn", "wide_deep"])
def test_every_canned_estimator_is_trained_and_exported(transformed, tmp_path, backbone, label):
    fields = {"hidden": [8, 4], "dropout": 0.1} if backbone != "linear" else {}
    model = tfloom.train(transformed, tmp_path / "model", spec(backbone={"name": backbone, **fields}, label=label))
    assert {path.name for path in model.path.iterdir()} == {
        "checkpoints", "feature_spec.json", "history.json", "provenance.json", "tensorboard", "train_spec.json",
    }  # fmt: skip
    (row,) = model.read("history.json")
    assert {"loss", {"late": "auc", "y_value": "rmse"}[label]} <= row["eval"].keys()

    # The export publishes only after `golden.check` has run every signature in TensorFlow's C API.
    made = tfloom.export(model, tmp_path / "export")
    tried = {"late": {"classify", "regress"}, "y_value": {"regress"}}[label]
    assert {*tried, "serving_default", "serving_examples", "transform"} == {
        *next(iter(made.model_card["tried"].values()))
    }

    parsed, rows = export.golden_rows(transformed)
    expected = predictor.of_model(model)(rows)
    signatures = tf.saved_model.load(str(made.path)).signatures
    ranks = {name: one.shape.rank for name, one in signatures["serving_default"].structured_input_signature[1].items()}
    named = {name: tf.constant(value) for name, value in parsed_rows.named(parsed, ranks).items()}
    golden = json.loads((made.path / "golden" / "serving_examples.json").read_text())
    examples = tensor_json.decode(golden["inputs"]["examples"], "string", [None])
    for told in (
        signatures["serving_default"](**named),
        signatures["serving_examples"](examples=tf.constant(examples)),
    ):
        assert told.keys() == expected.keys()
        for name, value in told.items():
            np.testing.assert_array_equal(value.numpy(), expected[name], err_msg=name)
    assert tfloom.evaluate(model, split="eval")["loss"] == row["eval"]["loss"]


def test_the_network_is_the_estimator_without_it(transformed, tmp_path):
    train_spec = TrainSpec(**spec(backbone={"name": "wide_deep", "hidden": [4]}, label="late"))
    model = tfloom.train(transformed, tmp_path / "model", train_spec)
    network, task = load(model)
    config = load_estimator().RunConfig(model_dir=str(model.path / "checkpoints" / "estimator"))
    estimator = estimator_trainer.canned(transformed.spec, transformed.num_buckets, train_spec, task, 1)(config=config)
    rows = materialised(transformed)

    def input_fn():
        features = estimator_trainer.fed(rows, network.columns, transformed.spec)
        return tf.data.Dataset.from_tensors(estimator_trainer.read(features, network.columns, transformed.spec))

    (told,) = estimator.predict(input_fn, yield_single_examples=False)
    np.testing.assert_array_equal(network(rows), told["logits"])
    assert [n for n in estimator.get_variable_names() if n.endswith("vec_embedding/embedding_weights")] == [
        f"dnn/input_from_feature_columns/input_layer/{n}_embedding/embedding_weights"
        for n in ("tags_vec", "town-long.vec", "town_vec")
    ]


@pytest.mark.parametrize("label", ["late", "y_value", "size"])
def test_a_linear_model_learns_the_same_in_both_trainers(transformed, tmp_path, label):
    """By gradient descent on all rows at once, whose order then does not matter."""
    predictions = {}
    for trainer in ("keras", "estimator"):
        fields = {"batch_size": 1_000, "optimizer": "sgd", "epochs": 2, "backbone": "linear", "label": label}
        model = tfloom.train(transformed, tmp_path / trainer, spec(trainer=trainer, **fields))
        predictions[trainer] = predictor.of_model(model)(materialised(transformed))
        loss = model.read("history.json")[0]["train"]["loss"]
        if label != "y_value":  # weights start at 0, and a batch's loss is the mean of its rows
            assert loss == pytest.approx(math.log({"late": 2, "size": 3}[label]), rel=1e-6)
    name = {"late": "logits", "y_value": "predictions", "size": "logits"}[label]
    assert (materialised(transformed)["tags_by"] == 0).any()
    assert np.abs(predictions["keras"][name]).max() > 0.05
    np.testing.assert_allclose(predictions["estimator"][name], predictions["keras"][name], rtol=1e-4, atol=1e-5)


def test_two_named_classes(transformed, tmp_path):
    """The multiclass head has two outputs, an Estimator of two classes one logit: the same probabilities."""
    model = tfloom.train(transformed, tmp_path / "model", spec(backbone="linear", label="answer", batch_size=8))
    told = predictor.of_model(model)(materialised(transformed))
    assert told["probabilities"].shape == (len(told["classes"]), 2)
    np.testing.assert_allclose(told["probabilities"][:, 1], 1 / (1 + np.exp(-told["logits"][:, 1])), rtol=1e-6)
    assert {*told["classes"].ravel()} == {b"no", b"yes"}
    assert model.read("history.json")[-1]["eval"]["accuracy"] > 0.7


def test_a_run_that_is_cut_off_goes_on_to_the_same_weights(transformed, tmp_path):
    backbone = {"name": "wide_deep", "hidden": [8], "dropout": 0}
    fields = {"backbone": backbone, "label": "late", "epochs": 2, "optimizer": "adam"}
    train_spec = spec(**fields, batch_size=4, learning_rate=0.01, checkpoint_steps=20, schedule="cosine")
    whole = tfloom.train(transformed, tmp_path / "whole", train_spec)

    def cut_off(epoch, taken, steps, loss):
        if (epoch, taken) == (2, 50):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfloom.train(transformed, tmp_path / "model", train_spec, report=cut_off)
    assert not (tmp_path / "model").exists()
    told = []
    model = tfloom.train(transformed, tmp_path / "model", train_spec, report=lambda *now: told.append(now[:2]))
    assert told[0] == (2, 50)
    assert not (tmp_path / "model.training").exists()

    expected, received = (_last_checkpoint(one) for one in (whole, model))
    assert {"global_step", "tfloom/losses"} <= expected.keys()
    assert expected.keys() == received.keys()
    # Not bit for bit: under load a session's sums were seen to differ in the last digit. A step more, or of another
    # batch, moves a weight by about the learning rate, .01.
    for name, value in expected.items():
        np.testing.assert_allclose(received[name], value, rtol=1e-5, atol=1e-7, err_msg=name)
    for one, other in zip(whole.read("history.json"), model.read("history.json"), strict=True):
        assert (one["epoch"], one["step"]) == (other["epoch"], other["step"])
        assert other["train"] == pytest.approx(one["train"], rel=1e-5)
        assert other["eval"] == pytest.approx(one["eval"], rel=1e-5)


def _last_checkpoint(model):
    reader = tf.train.load_checkpoint(str(model.path / "checkpoints" / "estimator"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_an_epoch_that_was_learned_but_not_judged_is_judged(transformed, tmp_path, monkeypatch):
    train_spec = spec(backbone="linear", label="late")
    with monkeypatch.context() as patched:
        patched.setattr(estimator_trainer._Run, "_export", _cut_off)
        with pytest.raises(KeyboardInterrupt):
            tfloom.train(transformed, tmp_path / "model", train_spec)
    model = tfloom.train(transformed, tmp_path / "model", train_spec)
    assert [row["epoch"] for row in model.read("history.json")] == [1]


def _cut_off(*_):
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("fields", "what", "received"),
    [
        ({"backbone": {"name": "dnn", "batch_norm": True}}, "backbone.batch_norm", "batch_norm true"),
        ({"optimizer": "adamw"}, "optimizer", "adamw"),
        ({"backbone": {"name": "dnn", "activation": "celu"}}, "backbone.activation", "'celu'"),
    ],
)
def test_what_estimators_do_not_do_is_refused(transformed, tmp_path, fields, what, received):
    with pytest.raises(SpecError) as error:
        tfloom.train(transformed, tmp_path / "model", spec(label="late", **fields))
    assert error.value.what.startswith(what)
    assert "keras" in error.value.expected
    assert error.value.received == received
    assert list(tmp_path.iterdir()) == []


PICTURE = {"name": "photo", "kind": "image", "height": 8, "width": 8}


@pytest.mark.parametrize(
    ("backbone", "what"), [("cnn", "no canned Estimator with the backbone cnn"), ("wide_deep", "columns.photo")]
)
def test_pictures_are_refused(transformed, tmp_path, backbone, what):
    output = tmp_path / "transformed"
    shutil.copytree(transformed.path / "transform_fn", output / "transform_fn")
    write_json(output / "report.json", transformed.report)
    groups = {"image": ["photo"]} if backbone == "cnn" else {"wide": ["x"], "deep": ["x", "photo"]}
    with_picture = {"columns": [{"name": "x", "kind": "numeric"}, PICTURE], "labels": SPEC["labels"], "groups": groups}
    write_json(output / "feature_spec.json", with_picture)
    with pytest.raises(SpecError) as error:
        tfloom.train(TransformOutput.open(output), tmp_path / "model", spec(label="late", backbone=backbone))
    assert what in error.value.what
    assert error.value.expected
    assert error.value.received
    assert not (tmp_path / "model.training").exists()


def test_a_head_without_a_canned_estimator_is_refused(transformed):
    task = head(transformed.spec.label("late"))
    task.estimator = None
    with pytest.raises(SpecError, match="head binary_classification") as error:
        estimator_trainer.canned(transformed.spec, transformed.num_buckets, TrainSpec(**spec()), task, 1)
    assert "multiclass_classification" in error.value.expected
