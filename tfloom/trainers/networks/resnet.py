"""ResNet (arXiv:1512.03385), with places for temporal modules; stride 2 on the 3 x 3, as everyone trains it since."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfloom.trainers.networks.layers import Composite, ConvNorm, around, norm
from tfloom.trainers.networks.modules import Modules, Place

BLOCKS = {18: (2, 2, 2, 2), 50: (3, 4, 6, 3)}


class ResNet(Composite):
    """Frames float32 [N, H, W, C] -> float32 [N, ceil(H / 32), ceil(W / 32), features].

    depth: 18 or 50. width: channels of the first stage, 64 in the paper. modules: a family's.
    stem: the layer in place of the first convolution, its normalization and ReLU.
    """

    def __init__(self, depth: int, width: int, modules: Modules, stem: keras.Layer | None = None) -> None:
        super().__init__(name=f"resnet{depth}")
        self.stem = stem or ConvNorm(width, 7, 2, use_bias=modules.use_bias, name="stem")
        self.stages = [blocks(depth, stage, width, modules) for stage in (1, 2, 3, 4)]
        self.features = 8 * width * BLOCK[depth].expansion

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.stem(x, training=training)
        x = tf.nn.max_pool2d(x, 3, 2, around(3))
        for stage in self.stages:
            for block in stage:
                x = block(x, training=training)
        return x


def blocks(depth: int, stage: int, width: int, modules: Modules) -> list[Any]:
    """The blocks of a stage, 1 to 4, in their order."""
    planes, expansion = width * 2 ** (stage - 1), BLOCK[depth].expansion
    inputs = width if stage == 1 else planes // 2 * expansion
    strides = [2 if stage > 1 else 1] + [1] * (BLOCKS[depth][stage - 1] - 1)
    places = [Place(stage, i, planes * expansion if i else inputs, planes, stride) for i, stride in enumerate(strides)]
    return [BLOCK[depth](place, modules) for place in places]


class _Block(Composite):
    """x + branch(x), then ReLU. The branch is made of steps, each called in turn."""

    expansion: int

    def __init__(self, place: Place, modules: Modules, steps: list[keras.Layer | None]) -> None:
        super().__init__(name=f"layer{place.stage}_{place.index}")
        self.steps = [step for step in steps if step is not None]
        filters = self.expansion * place.inner
        plain = place.stride == 1 and place.inputs == filters
        shortcut = ConvNorm(filters, 1, place.stride, relu=None, use_bias=modules.use_bias, name="shortcut")
        self.shortcut = None if plain else shortcut

    def call(self, x: Any, training: bool = False) -> Any:
        y = x
        for step in self.steps:
            y = step(y, training=training)
        return tf.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, training=training)))


class Bottleneck(_Block):
    """1 x 1, 3 x 3 and 1 x 1 convolutions."""

    expansion = 4

    def __init__(self, place: Place, modules: Modules) -> None:
        bias = modules.use_bias
        inner = Place(place.stage, place.index, place.inputs, modules.inner(place.inner), place.stride)
        super().__init__(
            place,
            modules,
            [
                modules.before(inner),
                ConvNorm(inner.inner, 1, use_bias=bias, name="conv1"),
                modules.middle(inner),
                modules.conv(inner) or ConvNorm(inner.inner, 3, inner.stride, use_bias=bias, name="conv2"),
                ConvNorm(self.expansion * place.inner, 1, relu=None, use_bias=bias, name="conv3"),
            ],
        )


class Basic(_Block):
    """Two 3 x 3 convolutions; a family's `conv` stands for the second one."""

    expansion = 1

    def __init__(self, place: Place, modules: Modules) -> None:
        bias = modules.use_bias
        own = modules.conv(Place(place.stage, place.index, place.inputs, place.inner, 1))
        super().__init__(
            place,
            modules,
            [
                modules.before(place),
                ConvNorm(place.inner, 3, place.stride, use_bias=bias, name="conv1"),
                modules.middle(place),
                ConvNorm(place.inner, 3, relu=None, use_bias=bias, name="conv2") if own is None else own,
                None if own is None else norm(name="norm2"),
            ],
        )


BLOCK: dict[int, type[Bottleneck | Basic]] = {18: Basic, 50: Bottleneck}
"""By depth, what its stages are made of."""
