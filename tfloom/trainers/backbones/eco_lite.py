"""`eco_lite`: Efficient Convolutional Network for Online Video Understanding, its light form."""

from __future__ import annotations

from typing import Literal

import keras

from tfloom.trainers.networks.eco import NAMES, Eco
from tfloom.trainers.video_backbone import Average, ClipBackbone


class EcoLite(ClipBackbone):
    """BN-Inception up to its block 3c on each frame, and a 3D ResNet-18 over all of them (arXiv:1804.09066)."""

    frames_in_step = 4
    names_of_modules = (NAMES,)

    name: Literal["eco_lite"] = "eco_lite"

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        return Eco(frames, self.width, False, Average(self.dropout, units))
