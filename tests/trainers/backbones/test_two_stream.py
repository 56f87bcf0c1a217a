"""`two_stream`: beside the contract its fusion, files of weights, and an SVM fitted at the end of training."""

from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file
from sklearn.svm import LinearSVC

import tfloom
from tests.trainers.backbones.video_contract import VideoContract, layer, traced
from tests.trainers.drawn_weights import drawn, resnet
from tfloom.data.moving_shapes import write_moving_shapes
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import keras_trainer
from tfloom.trainers.backbones.two_stream import SupportVectors, scores
from tfloom.trainers.macs import macs
from tfloom.trainers.train_spec import TrainSpec, load_train_spec


class TestTwoStream(VideoContract):
    """Twice `tsn`, the flow of as many channels as the clip."""

    fields = {"name": "two_stream"}
    parameters, gmacs = 2 * 23_864_558, 2 * 32.70
    minds_order = False

    def test_its_size_is_that_of_the_reference(self):
        """Of networks that are traced in a moment."""
        sizes = []
        for name in ("tsn", "two_stream"):
            one = layer(self.small | {"name": name})
            cost = macs(traced(one, batch=1))
            sizes.append(np.array([cost, sum(np.prod(v.shape) for v in one.trainable_variables)]))
        np.testing.assert_array_equal(2 * sizes[0], sizes[1])


SMALL = {"name": "two_stream", "network": "resnet18", "width": 0.125, "dropout": 0.0}
RNG = np.random.default_rng(0)
SEEN = {"clip": RNG.normal(size=[2, 3, 32, 32, 3]), "flow": RNG.normal(size=[2, 3, 32, 32, 10])}
FEATURES = {part: (Clip(tf.constant(values.astype(np.float32))),) for part, values in SEEN.items()}


def made(fields, units=5):
    column = SimpleNamespace(name="clip", frames=3)
    result = TrainSpec(backbone=SMALL | fields).backbone.layer({"clip": (column,), "flow": (column,)}, {}, units)
    result.call(FEATURES)
    return result


@pytest.mark.parametrize(("fusion", "shares"), [("average", (0.5, 0.5)), ([1, 3], (0.25, 0.75))])
def test_fusion(fusion, shares):
    one = made({"fusion": fusion})
    spatial, temporal = (one.streams(FEATURES)[i].numpy() for i in (0, 1))
    assert np.abs(spatial - temporal).max() > 1e-6
    np.testing.assert_allclose(one.call(FEATURES), shares[0] * spatial + shares[1] * temporal, rtol=1e-5)


def test_the_stream_of_flow_starts_from_colours_too(tmp_path):
    tensors = {seed: drawn(resnet(18, 5, width=8), seed=seed) for seed in (1, 2)}
    for seed, told in tensors.items():
        save_file(told, tmp_path / f"{seed}.safetensors")
    one = made({})
    for flow_weights, of_flow in ((None, 1), ("2.safetensors", 2)):
        fields = {"weights": "1.safetensors"} | ({"flow_weights": flow_weights} if flow_weights else {})
        (tmp_path / "train.yaml").write_text(f"backbone: {SMALL | fields}\n")
        load_train_spec(tmp_path / "train.yaml").backbone.read_saved(one)
        stem = one.temporal.over_clips.network.stem.conv.kernel
        expected = np.stack([tensors[of_flow]["conv1.weight"].mean(axis=1)] * 10, axis=1).transpose(2, 3, 1, 0)
        np.testing.assert_allclose(stem, expected, rtol=1e-5, atol=1e-7)
        kernel = one.spatial.over_clips.network.stem.conv.kernel
        np.testing.assert_array_equal(kernel, tensors[1]["conv1.weight"].transpose(2, 3, 1, 0))


@pytest.mark.parametrize("units", [1, 2, 4])
def test_an_svm_over_the_scores(units):
    rng, classes = np.random.default_rng(1), max(units, 2)
    labels = np.arange(60) % classes
    logits = [
        rng.normal(size=[60, units]) + 2 * (labels[:, None] == np.arange(units)[::-1] + (units == 1)) for _ in "st"
    ]
    spatial, temporal = (tf.constant(one.astype(np.float32)) for one in logits)
    fusion = SupportVectors(units)
    np.testing.assert_allclose(fusion(spatial, temporal), (spatial + temporal) / 2, rtol=1e-6)
    fusion.fit(scores(spatial, temporal).numpy(), labels)

    def stacked(logits):
        told = np.exp(np.concatenate([np.zeros([60, 1]), logits], axis=1) if units == 1 else logits)
        told /= told.sum(axis=1, keepdims=True)
        return told / np.linalg.norm(told, axis=1, keepdims=True)

    seen = scores(spatial, temporal).numpy()
    np.testing.assert_allclose(seen, np.concatenate([stacked(one) for one in logits], axis=1), rtol=1e-5)
    machine = LinearSVC(random_state=0).fit(seen, labels)
    distances = fusion(spatial, temporal).numpy()
    expected = machine.decision_function(seen).reshape(60, -1)
    np.testing.assert_allclose(distances[:, -expected.shape[1] :], expected, rtol=1e-4, atol=1e-5)
    predicted = distances.argmax(axis=1) if units > 1 else (distances[:, 0] > 0).astype(int)
    np.testing.assert_array_equal(predicted, machine.predict(seen))


def test_what_it_is_fitted_to():
    svm, batches = made({"fusion": "svm"}, units=1), []
    for one in range(3):
        values = {part: np.random.default_rng(one).normal(size=v.shape) for part, v in SEEN.items()}
        batches.append((values, tf.constant([0, 1], tf.int64), tf.constant([1.0, 0.5 + one])))
    clips = lambda values: {part: (Clip(tf.cast(one, tf.float32)),) for part, one in values.items()}
    network = SimpleNamespace(columns=SimpleNamespace(call=clips), backbone=svm)
    TrainSpec(backbone=SMALL | {"fusion": "svm"}).backbone.fit_last(network, batches)
    again = SupportVectors(1)
    seen = np.concatenate([scores(*svm.streams(clips(values))) for values, _, _ in batches])
    again.fit(seen, np.array([0, 1] * 3), np.array([1, 0.5, 1, 1.5, 1, 2.5]))
    np.testing.assert_allclose(svm.fusion.kernel, again.kernel, rtol=1e-3, atol=1e-6)
    features = clips(batches[0][0])
    np.testing.assert_allclose(svm.call(features), again(*svm.streams(features)), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("labels", [np.arange(60) % 3, np.linspace(0, 1, 60), np.eye(4)[np.arange(60) % 4]])
def test_labels_that_are_no_classes_of_the_svm(labels):
    with pytest.raises(SpecError, match="has to see each"):
        SupportVectors(4).fit(np.ones([60, 8], np.float32), labels)


CLIP = {"kind": "video", "source": "frames", "content": "frames", "frames": 2, "height": 32, "width": 32}
SPEC = {
    "columns": [CLIP | {"name": "look"}, CLIP | {"name": "motion"}],
    "labels": [{"name": "direction", "classes": ["left", "right", "up", "down"]}],
    "groups": {"clip": ["look"], "flow": ["motion"]},
}


@pytest.mark.slow
def test_an_svm_is_fitted_to_the_best_weights(tmp_path):
    """Both streams see colours here: it is about the order of training, not about flow."""
    data = write_moving_shapes(tmp_path, pairs=12, frames=2)
    output = tfloom.preprocess(FeatureSpec.model_validate(SPEC), str(data), tmp_path / "transformed")
    train_spec = {"backbone": SMALL | {"fusion": "svm"}, "epochs": 1, "batch_size": 8}
    model = tfloom.train(output, tmp_path / "model", train_spec)
    network, head = keras_trainer.load(model)
    fusion = network.backbone.fusion
    assert float(fusion.fitted) == 1
    again = SupportVectors(4)
    TrainSpec(backbone=train_spec["backbone"]).backbone.fit_last(
        SimpleNamespace(
            columns=network.columns, backbone=SimpleNamespace(streams=network.backbone.streams, fusion=again)
        ),
        keras_trainer.inputs.batches(output, "train", 24, head.label),
    )
    np.testing.assert_allclose(again.kernel, fusion.kernel, rtol=1e-3, atol=1e-4)
    assert np.abs(again.kernel).max() > 1e-3


def test_a_group_that_is_not_there():
    spec = SPEC | {"groups": {"clip": ["look", "motion"]}}
    backbone = TrainSpec(backbone=SMALL).backbone
    with pytest.raises(SpecError, match=r"(?s)nothing to read in its flow part.*a group 'flow'"):
        backbone.parts(FeatureSpec.model_validate(spec))
    spec["groups"] = {"clip": ["look"], "flow": ["look", "motion"]}
    with pytest.raises(SpecError, match=r"(?s)one column of clips.*a group 'flow' with one column"):
        backbone.parts(FeatureSpec.model_validate(spec))
