"""`resnet50_v1`: beside the contract keras.applications itself, and its files."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones.video_contract import VideoContract, layer
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.train_spec import TrainSpec, load_train_spec


class TestResnet50V1(VideoContract):
    """Of 1,000 classes keras.applications says 25,636,712 parameters, 53,120 of them statistics.

    A block's 3 x 3 is done after the stride, which saves .27 G a frame beside torchvision's.
    """

    fields = {"name": "resnet50_v1"}
    small = {"dropout": 0.0}
    units, parameters, gmacs = 1000, 25_636_712 - 53_120, 8 * 3.858
    minds_order = False


CLIPS = np.random.default_rng(0).uniform(0, 255, size=[2, 2, 64, 64, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def keras_own():
    """keras.applications' with weights that were drawn."""
    keras.utils.set_random_seed(3)
    return keras.applications.ResNet50(include_top=False, weights=None, pooling="avg", input_shape=(None, None, 3))


@pytest.fixture(scope="module")
def made():
    result = layer({"name": "resnet50_v1", "dropout": 0.0}, 5, 2)
    result.call({"clip": (Clip(tf.constant(CLIPS)),)})
    return result


def scores(made, keras_own):
    """What keras.applications and the last layer of ours make of the frames."""
    frames = keras.applications.resnet.preprocess_input(CLIPS.reshape(4, 64, 64, 3).copy())
    dense = made.over_clips.consensus.dense
    told = np.asarray(keras_own(frames)) @ np.asarray(dense.kernel) + np.asarray(dense.bias)
    return told.reshape(2, 2, 5).mean(axis=1)


@pytest.mark.parametrize("name", ["resnet.weights.h5", "notop.h5"])
def test_weights_of_keras(tmp_path, made, keras_own, name):
    keras_own.save_weights(tmp_path / name) if "weights" in name else keras_own.save(tmp_path / name)
    TrainSpec(backbone={"name": "resnet50_v1", "weights": str(tmp_path / name)}).backbone.read_saved(made)
    told = made.call({"clip": (Clip(tf.constant(CLIPS)),)})
    np.testing.assert_allclose(told, scores(made, keras_own), rtol=1e-4, atol=1e-5)


def test_imagenet_is_what_keras_has_by_that_name(tmp_path, made, keras_own, monkeypatch):
    """The download itself is Keras'."""

    def downloaded(**fields):
        assert fields == {"include_top": False, "weights": "imagenet"}
        return keras_own

    monkeypatch.setattr(keras.applications, "ResNet50", downloaded)
    made.over_clips.network.network.set_weights([np.ones_like(w) for w in keras_own.get_weights()])
    (tmp_path / "train.yaml").write_text("backbone: {name: resnet50_v1, weights: imagenet}\n")
    load_train_spec(tmp_path / "train.yaml").backbone.read_saved(made)
    told = made.call({"clip": (Clip(tf.constant(CLIPS)),)})
    np.testing.assert_allclose(told, scores(made, keras_own), rtol=1e-4, atol=1e-5)


def test_a_file_that_is_none(tmp_path, made):
    (tmp_path / "x.weights.h5").write_bytes(b"no")
    for name in ("x.weights.h5", "absent.weights.h5", "x.safetensors"):
        backbone = TrainSpec(backbone={"name": "resnet50_v1", "weights": str(tmp_path / name)}).backbone
        with pytest.raises(SpecError, match=r"(?s)cannot be read into.*\.weights\.h5 or \.h5"):
            backbone.read_saved(made)


def test_it_scales_its_clips_itself():
    column = {"name": "clip", "kind": "video", "frames": 2, "height": 32, "width": 32, "scale": "imagenet"}
    spec = FeatureSpec.model_validate({"columns": [column], "labels": [{"name": "y"}]})
    with pytest.raises(SpecError, match=r"(?s)columns\.clip\.scale.*'none'.*'imagenet'"):
        TrainSpec(backbone={"name": "resnet50_v1"}).backbone.parts(spec)
