"""`eco_lite`, beside the model of its authors."""

import numpy as np

from tests.trainers.backbones.transplanted import logits
from tests.trainers.backbones.video_contract import VideoContract


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
