"""`tdn`: Temporal Difference Networks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import keras
import tensorflow as tf

from tfloom.trainers import pretrained
from tfloom.trainers.networks.layers import Composite, ConvNorm, Depthwise, TemporalConv, around
from tfloom.trainers.networks.mobilenet_v2 import divisible
from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.resnet import ResNet, blocks
from tfloom.trainers.networks.temporal import difference, unfold
from tfloom.trainers.video_backbone import VideoBackbone

_OF_A_RESNET = {"short_term/differences/conv": "conv1"}  # and its stage starts as the network's first
_LONG_TERM = {
    "long_term/squeeze/conv": "mse.conv1",
    "long_term/squeeze/norm": "mse.bn1",
    "long_term/filter": "mse.conv2",
    "long_term/coarse/conv": "mse.conv3_smallscale2",
    "long_term/coarse/norm": "mse.bn3_smallscale2",
    "long_term/fine/conv": "mse.conv3_smallscale4",
    "long_term/fine/norm": "mse.bn3_smallscale4",
    "long_term/expand/conv": "mse.conv3",
    "long_term/expand/norm": "mse.bn3",
    "long_term/shift": "shift.conv",
}
_SHORT_TERM = pretrained.in_blocks(pretrained.RESNET_BLOCK, r"resnext_layer\1.\2")
_OF_ITS_AUTHORS = {
    "short_term/differences/conv": "conv1_5.0",
    "short_term/differences/norm": "conv1_5.1",
    **{f"short_term/{ours}": theirs for ours, theirs in _SHORT_TERM.items()},
    **pretrained.in_blocks(pretrained.RESNET_BLOCK | _LONG_TERM, r"layer\1_bak.\2"),
}


class Tdn(VideoBackbone):
    """Differences of the five frames of a segment, and of segments (arXiv:2012.10071): a clip has 5 T frames.

    network: `resnet50`; `resnet18` is smaller.
    """

    frames_in_step: ClassVar[int] = 5
    names_of_modules = (_OF_A_RESNET, _OF_ITS_AUTHORS)

    name: Literal["tdn"] = "tdn"
    network: Literal["resnet50", "resnet18"] = "resnet50"

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        return super().over_clips(frames // self.frames_in_step, units)

    def net(self, modules: Modules) -> Any:
        return _TdnResNet(18 if self.network == "resnet18" else 50, divisible(64 * self.width), modules)

    def modules(self, frames: int) -> Modules:
        return _LongTerm(frames)


class _LongTerm(Modules):
    use_bias = True

    def middle(self, place: Place) -> keras.Layer | None:
        return LongTerm(self.frames, place.inner) if place.stage > 1 else None


class _TdnResNet(ResNet):
    """Frames float32 [B * T * 5, H, W, 3] -> float32 [B * T, ceil(H / 32), ceil(W / 32), features]."""

    def __init__(self, depth: int, width: int, modules: Modules) -> None:
        super().__init__(depth, width, modules)
        self.differences = ShortTerm(width, blocks(depth, 1, width, modules))
        self.share = 0.5 if modules.frames == 8 else 0.75  # as the reference has it: of 16 segments the latter

    def call(self, x: Any, training: bool = False) -> Any:
        segments = unfold(x, 5)
        early, late = self.differences(segments, training=training)
        x = tf.nn.max_pool2d(self.stem(segments[:, 2], training=training), 3, 2, around(3))
        x = self.share * x + (1 - self.share) * resized(early, x)
        for number, stage in enumerate(self.stages, 1):
            for block in stage:
                x = block(x, training=training)
            if number == 1:
                x = self.share * x + (1 - self.share) * resized(late, x)
        return x


class ShortTerm(Composite):
    """S-TDM: what changes within a segment, float32 [N, 5, H, W, 3] -> two of [N, H / 8, W / 8, C].

    The first is added after the network's stem, the second, after a stage of its own, after the network's first stage.
    """

    def __init__(self, width: int, stage: list[keras.Layer]) -> None:
        super().__init__(name="short_term")
        self.conv, self.stage = ConvNorm(width, 7, 2, name="differences"), stage

    def call(self, segments: Any, training: bool = False) -> Any:
        changes = tf.concat(tf.unstack(segments[:, 1:] - segments[:, :-1], axis=1), axis=-1)
        x = self.conv(tf.nn.avg_pool2d(changes, 2, 2, "VALID"), training=training)
        early = x = tf.nn.max_pool2d(x, 3, 2, around(3))
        for block in self.stage:
            x = block(x, training=training)
        return early, x


class LongTerm(Composite):
    """L-TDM and a learned shift: what changes between segments excites channels, [B * T, H, W, C] -> the same shape."""

    def __init__(self, frames: int, channels: int) -> None:
        super().__init__(name="long_term")
        reduced = max(1, channels // 16)
        self.frames = frames
        self.squeeze = ConvNorm(reduced, 1, relu=None, name="squeeze")
        self.filter = Depthwise(3, name="filter")
        self.coarse = ConvNorm(reduced, 3, relu=None, name="coarse")
        self.fine = ConvNorm(reduced, 3, relu=None, name="fine")
        self.expand = ConvNorm(channels, 1, relu=None, name="expand")
        self.shift = TemporalConv(frames, name="shift")

    def call(self, x: Any, training: bool = False) -> Any:
        here = self.squeeze(x, training=training)
        there = self.filter(here)
        total, fine = 0.0, None
        for by in (1, -1):
            change = difference(there, here, self.frames, by)
            # Backwards the reference filters what it filtered forwards, not the change; its weights have learned so.
            fine = self.fine(change if fine is None else fine, training=training)
            side = min(2, *change.shape[1:3])  # of one pixel there is no coarser picture
            coarse = self.coarse(tf.nn.avg_pool2d(change, side, side, "VALID"), training=training)
            seen = (change + resized(coarse, change) + fine) / 3.0
            total += tf.sigmoid(self.expand(seen, training=training)) - 0.5
        return self.shift(x + x * total / 2.0)


def resized(x: Any, like: Any) -> Any:
    """x, [N, h, w, C], at the height and width of `like`, by the pixel at the same place."""
    return tf.raw_ops.ResizeNearestNeighbor(images=x, size=like.shape[1:3])
