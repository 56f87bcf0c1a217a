"""MobileNetV2 (arXiv:1801.04381), with places for temporal modules."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfloom.trainers.networks.layers import Composite, ConvNorm, Depthwise, norm
from tfloom.trainers.networks.modules import Modules, Place

STAGES = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""Of each stage the expansion, the channels, the number of blocks and the stride of the first: table 2 of the paper."""


class MobileNetV2(Composite):
    """Frames float32 [N, H, W, C] -> float32 [N, ceil(H / 32), ceil(W / 32), features].

    width: the share of the paper's channels. modules: a family's; they stand in blocks that have a shortcut.
    """

    def __init__(self, width: float, modules: Modules) -> None:
        super().__init__(name="mobilenet_v2")
        channels = divisible(32 * width)
        self.blocks: list[keras.Layer] = [ConvNorm(channels, 3, 2, relu=6.0, name="stem")]
        for stage, (expansion, filters, count, first_stride) in enumerate(STAGES, 1):
            filters = divisible(filters * width)
            for index in range(count):
                stride = first_stride if index == 0 else 1
                place = Place(stage, index, channels, channels * expansion, stride)
                self.blocks.append(InvertedResidual(place, filters, modules))
                channels = filters
        self.features = divisible(1280 * max(1.0, width))
        self.blocks.append(ConvNorm(self.features, 1, relu=6.0, name="head"))

    def call(self, x: Any, training: bool = False) -> Any:
        for block in self.blocks:
            x = block(x, training=training)
        return x


class InvertedResidual(Composite):
    """Expand by 1 x 1, filter each channel by 3 x 3, project by 1 x 1; plus its input where both have one shape."""

    def __init__(self, place: Place, filters: int, modules: Modules) -> None:
        super().__init__(name=f"layer{place.stage}_{place.index}")
        self.plain = place.stride == 1 and place.inputs == filters
        own = modules if self.plain else Modules(modules.frames)
        steps = [
            own.before(place),
            ConvNorm(place.inner, 1, relu=6.0, name="conv1") if place.inner != place.inputs else None,
            own.middle(place),
            own.conv(place) or DepthwiseNorm(place.stride, name="conv2"),
            ConvNorm(filters, 1, relu=None, name="conv3"),
        ]
        self.steps = [step for step in steps if step is not None]

    def call(self, x: Any, training: bool = False) -> Any:
        y = x
        for step in self.steps:
            y = step(y, training=training)
        return x + y if self.plain else y


class DepthwiseNorm(Composite):
    """A 3 x 3 convolution of each channel by itself, its batch normalization and ReLU up to 6."""

    def __init__(self, stride: int, name: str) -> None:
        super().__init__(name=name)
        self.conv = Depthwise(3, stride, name="conv")
        self.norm = norm(name="norm")

    def call(self, x: Any, training: bool = False) -> Any:
        return tf.clip_by_value(self.norm(self.conv(x), training=training), 0.0, 6.0)


def divisible(channels: float) -> int:
    """The nearest multiple of 8, of at least 8 and nine tenths of `channels`."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near if near >= 0.9 * channels else near + 8
