"""`eco_lite`, beside the model of its authors."""

import numpy as np
import tensorflow as tf
from safetensors.numpy import save_file

from tests.trainers.backbones.transplanted import drawn, logits, named, there, transplant
from tests.trainers.backbones.video_contract import VideoContract, layer, some_clips
from tfloom.feature_specs.features import Clip
from tfloom.trainers.train_spec import TrainSpec


class TestEcoLite(VideoContract):
    fields = {"name": "eco_lite"}
    small = {"width": 0.125, "dropout": 0.0}
    units, parameters, gmacs = 400, 37_503_856, 23.24


# From our names to those of models_ECO_{Lite,Full}/kinetics of mzolfaghari/ECO-efficient-video-understanding.
NAMES = (
    (r"^.*/(\w+)/norm/", r"\1_bn."),
    (r"^.*/(\w+)/conv/", r"\1."),
    (r"^.*/(res\w+)/", r"\1."),
    (r"^.*/dense/", "fc."),
)


def test_logits_are_those_of_the_reference():
    """Of its Caffe model, which PyTorch cannot run, written in PyTorch by its layers and their names; a gain of 2.2."""
    expected = [
        [-0.47855127, 0.77894747, -0.98199511, -0.43014508, 0.36715913],
        [-0.50005162, 0.86015999, -1.20247853, -0.68826234, 0.43548444],
    ]
    told = logits({"name": "eco_lite"}, NAMES, frames=8, gain=2.2)
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-4)


def test_weights_by_the_names_of_the_reference(tmp_path):
    fields = {"name": "eco_lite", "width": 0.125, "dropout": 0.0}
    made, clips = layer(fields, 5), {"clip": (Clip(tf.constant(some_clips())),)}
    transplant(made, NAMES)
    state = {name: drawn(name, there(tuple(one.shape))) for name, one in named(made, NAMES).items()}
    save_file(state, tmp_path / "eco.safetensors")
    started = layer(fields, 5)
    TrainSpec(backbone=fields | {"weights": str(tmp_path / "eco.safetensors")}).backbone.read_saved(started)
    np.testing.assert_array_equal(started.call(clips), made.call(clips))
