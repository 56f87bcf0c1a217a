"""`eco_full`: Efficient Convolutional Network for Online Video Understanding, its full form."""

from __future__ import annotations

from typing import Literal

import keras

from tfloom.trainers.networks.eco import NAMES, Eco
from tfloom.trainers.video_backbone import Average, ClipBackbone


class EcoFull(ClipBackbone):
    """What `eco_lite` is, and beside it the rest of BN-Inception on each frame (arXiv:1804.09066)."""

    frames_in_step = 4
    names_of_modules = (NAMES,)

    name: Literal["eco_full"] = "eco_full"

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        return Eco(frames, self.width, True, Average(self.dropout, units))
