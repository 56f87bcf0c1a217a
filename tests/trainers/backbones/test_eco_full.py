"""`eco_full`, beside the model of its authors."""

import numpy as np

from tests.trainers.backbones.test_eco_lite import NAMES
from tests.trainers.backbones.transplanted import logits
from tests.trainers.backbones.video_contract import VideoContract


class TestEcoFull(VideoContract):
    fields = {"name": "eco_full"}
    small = {"width": 0.125, "dropout": 0.0}
    units, parameters, gmacs = 400, 47_502_128, 32.21


def test_logits_are_those_of_the_reference():
    """Made as those of `eco_lite`, of ECO_full.prototxt."""
    expected = [
        [0.01149939, 0.55684841, -0.19953276, 0.50195605, -0.37393567],
        [-0.10262844, 0.49598038, -0.21594159, 0.46190232, -0.34359175],
    ]
    told = logits({"name": "eco_full"}, NAMES, frames=8, gain=2.2)
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-4)
