"""`action`: ACTION-Net, excited by space and time, by channels and by motion."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from tfloom.trainers import pretrained
from tfloom.trainers.networks.layers import Composite, Conv, Depthwise, TemporalConv, norm
from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.temporal import difference, fold, unfold
from tfloom.trainers.video_backbone import VideoBackbone

_OF_ITS_AUTHORS = pretrained.in_blocks({
    "action/shift": "conv1.action_shift",
    "action/ste": "conv1.action_p1_conv1",
    "action/ce/conv": "conv1.action_p2_conv1",
    r"action/ce/(squeeze|expand)": r"conv1.action_p2_\3",
    "action/me/norm": "conv1.action_p3_bn1",
    "action/me/conv": "conv1.action_p3_conv1",
    r"action/me/(squeeze|expand)": r"conv1.action_p3_\3",
})  # fmt: skip


class Action(VideoBackbone):
    """A learned shift, and excitation by place and time, by channel and by motion, in each block (arXiv:2103.07372)."""

    names_of_modules = ({}, _OF_ITS_AUTHORS)

    name: Literal["action"] = "action"

    def modules(self, frames: int) -> Modules:
        return _Excitations(frames)


class _Excitations(Modules):
    def before(self, place: Place) -> keras.Layer:
        return Excitation(self.frames, place.inputs)


class Excitation(Composite):
    """The shifted x, and the sum of x + x * mask for three masks of 0 to 1: [B * T, H, W, C] -> the same shape."""

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__(name="action")
        self.shift = TemporalConv(frames, name="shift")
        self.places = SpatioTemporal(frames)
        self.channels = ChannelExcitation(frames, channels)
        self.motion = MotionExcitation(frames, channels)

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.shift(x)
        of_channels = tf.sigmoid(self.channels(x)) + tf.sigmoid(self.motion(x, training=training))
        return x * (3.0 + of_channels + tf.sigmoid(self.places(x)))


class SpatioTemporal(keras.Layer):
    """STE: the mean over channels, convolved 3 x 3 x 3: [B * T, H, W, C] -> [B * T, H, W, 1]."""

    def __init__(self, frames: int) -> None:
        super().__init__(name="ste")
        self.frames = frames

    def build(self, shape: Any) -> None:
        self.kernel = self.add_weight(shape=[3, 3, 3, 1, 1], name="kernel")

    def call(self, x: Any) -> Any:
        clip = unfold(tf.reduce_mean(x, axis=-1, keepdims=True), self.frames)
        return fold(tf.nn.conv3d(clip, self.kernel, [1] * 5, "SAME"))


class ChannelExcitation(Composite):
    """CE: the mean over the picture, squeezed, convolved over time, expanded: [B * T, H, W, C] -> [B * T, 1, 1, C]."""

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__(name="ce")
        self.frames, reduced = frames, reduction(channels)
        self.squeeze = Conv(reduced, 1, name="squeeze")
        self.conv = keras.layers.Conv1D(reduced, 3, padding="same", use_bias=False, name="conv")
        self.expand = Conv(channels, 1, name="expand")

    def call(self, x: Any) -> Any:
        x = self.squeeze(tf.reduce_mean(x, axis=(1, 2), keepdims=True))
        x = tf.nn.relu(self.conv(unfold(x[:, 0, 0], self.frames)))
        return self.expand(fold(x)[:, None, None])


class MotionExcitation(Composite):
    """ME: squeezed, the next frame filtered less this one, its mean over the picture, expanded: the same as CE."""

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__(name="me")
        self.frames = frames
        self.squeeze, self.norm = Conv(reduction(channels), 1, name="squeeze"), norm(name="norm")
        self.conv = Depthwise(3, name="conv")
        self.expand = Conv(channels, 1, name="expand")

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.norm(self.squeeze(x), training=training)
        motion = difference(self.conv(x), x, self.frames)
        return self.expand(tf.reduce_mean(motion, axis=(1, 2), keepdims=True))


def reduction(channels: int) -> int:
    """A sixteenth of the channels."""
    return max(1, channels // 16)
