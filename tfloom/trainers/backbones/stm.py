"""`stm`: spatiotemporal and motion features side by side in each block."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from tfloom.trainers import pretrained
from tfloom.trainers.networks.layers import Composite, Conv, Depthwise, TemporalConv, norm
from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.temporal import difference
from tfloom.trainers.video_backbone import VideoBackbone


class Stm(VideoBackbone):
    """STM (arXiv:1908.02486): in place of each block's 3 x 3 convolution two modules, summed.

    network: `resnet50`, or `resnet18`, which has one in place of each block's second convolution.
    """

    names_of_modules = (pretrained.in_blocks({"stm/spatial": "conv2", "stm/norm": "bn2"}),)

    name: Literal["stm"] = "stm"
    network: Literal["resnet50", "resnet18"] = "resnet50"

    def modules(self, frames: int) -> Modules:
        return _InPlace(frames)


class _InPlace(Modules):
    def conv(self, place: Place) -> keras.Layer:
        return SpatioTemporalMotion(self.frames, place.inner, place.stride)


class SpatioTemporalMotion(Composite):
    """CSTM plus CMM, then normalization and ReLU: float32 [B * T, H, W, filters] -> the same at H / stride, W / stride.

    CSTM is a convolution over time of each channel, which starts as a shift (a quarter of the channels from each side),
    and a 3 x 3 convolution. CMM is what moves: a sixteenth of the channels, those of the next frame through a 3 x 3
    convolution of each channel less those of this frame, zeros at the last, and back to all channels. The paper does
    not say how CMM halves a picture: here its last 1 x 1 convolution takes every second place, as a shortcut's does.
    """

    def __init__(self, frames: int, filters: int, stride: int) -> None:
        super().__init__(name="stm")
        self.frames = frames
        self.temporal = TemporalConv(frames, "temporal", share=4)
        self.spatial = Conv(filters, 3, stride, name="spatial")
        self.reduce = Conv(max(1, filters // 16), 1, name="reduce")
        self.next = Depthwise(3, name="next")
        self.expand = Conv(filters, 1, stride, name="expand")
        self.norm = norm(name="norm")

    def call(self, x: Any, training: bool = False) -> Any:
        reduced = self.reduce(x)
        motion = self.expand(difference(self.next(reduced), reduced, self.frames))
        return tf.nn.relu(self.norm(self.spatial(self.temporal(x)) + motion, training=training))
