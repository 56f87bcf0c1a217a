"""`tea`: Temporal Excitation and Aggregation, on Res2Net."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from tfloom.trainers import pretrained
from tfloom.trainers.networks.layers import Composite, ConvNorm, Depthwise, TemporalConv, around
from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.temporal import difference
from tfloom.trainers.video_backbone import VideoBackbone

SCALE = 4
"""Parts that Res2Net (arXiv:1904.01169) makes of a block's channels: the 4s of 26w4s."""


_RES2NET = pretrained.in_blocks({
    r"mta/spatial(\d)/conv": r"convs.\3",
    r"mta/spatial(\d)/norm": r"bns.\3",
})  # fmt: skip
_OF_ITS_AUTHORS = pretrained.in_blocks({
    "me/reduce/conv": "me.conv1",
    "me/reduce/norm": "me.bn1",
    "me/next": "me.conv2",
    "me/expand/conv": "me.conv3",
    "me/expand/norm": "me.bn3",
    r"mta/temporal(\d)": r"shifts.\3.conv",
    "mta/shift": f"shifts.{SCALE - 1}.conv",
})  # fmt: skip


class Tea(VideoBackbone):
    """TEA (arXiv:2004.01398): motion says which channels count, and time is convolved in each step of a cascade.

    network: Res2Net-50 of 26w4s; its blocks are cascades, as no other network's are.
    """

    names_of_modules = (_RES2NET, _RES2NET | _OF_ITS_AUTHORS)

    name: Literal["tea"] = "tea"
    network: Literal["res2net50"] = "res2net50"  # type: ignore[assignment]  # none of those that the others have

    def modules(self, frames: int) -> Modules:
        return _Excitation(frames)


class _Excitation(Modules):
    def inner(self, planes: int) -> int:
        return SCALE * (planes * 26 // 64)

    def middle(self, place: Place) -> keras.Layer:
        return MotionExcitation(self.frames, place.inner)

    def conv(self, place: Place) -> keras.Layer:
        return MultipleTemporalAggregation(self.frames, place.inner // SCALE, place.stride, first=place.index == 0)


class MotionExcitation(Composite):
    """ME: x + x * y, where y says of each channel how it moves: float32 [B * T, H, W, filters] -> the same shape.

    y is made of a sixteenth of the channels: those of the next frame through a 3 x 3 convolution of each channel less
    those of this frame, zeros at the last; their mean over the picture, back to all channels, and a sigmoid less one
    half. (In the paper y is twice that; this is its authors' code.)
    """

    def __init__(self, frames: int, filters: int) -> None:
        super().__init__(name="me")
        self.frames = frames
        self.reduce = ConvNorm(max(1, filters // 16), 1, relu=None, name="reduce")
        self.next = Depthwise(3, name="next")
        self.expand = ConvNorm(filters, 1, relu=None, name="expand")

    def call(self, x: Any, training: bool = False) -> Any:
        reduced = self.reduce(x, training=training)
        motion = difference(self.next(reduced), reduced, self.frames)
        moves = self.expand(tf.reduce_mean(motion, axis=(1, 2), keepdims=True), training=training)
        return x + x * (tf.sigmoid(moves) - 0.5)


class MultipleTemporalAggregation(Composite):
    """MTA, Res2Net's cascade with time: float32 [B * T, H, W, SCALE * filters] -> the same at H / stride, W / stride.

    Each part but the last, with what came of the part before it, goes through a convolution over time of each channel
    and a 3 x 3 convolution; the last through the former alone. In the first block of a stage the parts stand by
    themselves, and the last is averaged over 3 x 3, the zeros around the picture among them.

    As in its authors' code, that of the last part starts as a shift, half of its channels from each side, and those of
    the others start as what changes nothing. (The paper leaves the first part as it is, not the last.)
    """

    def __init__(self, frames: int, filters: int, stride: int, first: bool) -> None:
        super().__init__(name="mta")
        self.stride, self.first = stride, first
        self.temporal = [TemporalConv(frames, f"temporal{i}", None) for i in range(SCALE - 1)]
        self.spatial = [ConvNorm(filters, 3, stride, name=f"spatial{i}") for i in range(SCALE - 1)]
        self.shift = TemporalConv(frames, "shift", share=2)

    def call(self, x: Any, training: bool = False) -> Any:
        *parts, last = tf.split(x, SCALE, axis=-1)
        made: list[Any] = []
        for part, temporal, spatial in zip(parts, self.temporal, self.spatial, strict=True):
            given = part + made[-1] if made and not self.first else part
            made.append(spatial(temporal(given), training=training))
        last = self.shift(last)
        if self.first:
            last = tf.nn.avg_pool2d(tf.pad(last, around(3)), 3, self.stride, "VALID")
        return tf.concat([*made, last], axis=-1)
