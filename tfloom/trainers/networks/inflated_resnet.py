"""ResNet inflated along time: the I3D baseline of Non-local Neural Networks (arXiv:1711.07971, table 1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from tfloom.trainers.networks.layers import Composite, Conv3D, norm, padded
from tfloom.trainers.networks.resnet import BLOCKS


class InflatedResNet(Composite):
    """Clips float32 [B, T, H, W, C] -> float32 [B, ceil(T / 2), ceil(H / 32), ceil(W / 32), features].

    The first convolution spans 5 frames; so do 3 the first one of a block: of each in the first stage, of every other
    one in the others. After the first stage every two frames become one.

    depth: 18 or 50. width: channels of the first stage, 64 in the paper. last_stride: of the last stage; 1 for maps of
    twice the size. after: the layer that follows a block, if one does, of the block's name in a state dict, such as
    `layer2.1`, and its channels.
    """

    def __init__(
        self, depth: int, width: int, after: Callable[[str, int], keras.Layer | None], last_stride: int = 2
    ) -> None:
        super().__init__(name=f"inflated_resnet{depth}")
        channels, expansion = width, 4 if depth == 50 else 1
        self.stem = ConvNorm3D(width, (5, 7), 2, name="stem")
        self.stages: list[list[keras.Layer]] = []
        for stage, count in enumerate(BLOCKS[depth], 1):
            planes, made = width * 2 ** (stage - 1), []
            for index in range(count):
                stride = (1, 2, 2, last_stride)[stage - 1] if index == 0 else 1
                spans = 3 if stage == 1 or index % 2 == (stage == 4) else 1
                kernels = ((spans, 1), (1, 3), (1, 1)) if depth == 50 else ((spans, 3), (1, 3))
                filters = (*[planes] * (len(kernels) - 1), planes * expansion)
                made.append(_Block(f"layer{stage}_{index}", channels, filters, kernels, stride))
                channels = planes * expansion
                if (own := after(f"layer{stage}.{index}", channels)) is not None:
                    made.append(own)
            self.stages.append(made)
        self.features = channels

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.stem(x, training=training)
        x = tf.nn.max_pool3d(padded(x, (1, 3, 3)), (1, 3, 3), (1, 2, 2), "VALID")  # of ReLU: zeros change no maximum
        for number, stage in enumerate(self.stages):
            for layer in stage:
                x = layer(x, training=training)
            if number == 0:
                x = tf.nn.max_pool3d(x, (2, 1, 1), (2, 1, 1), "SAME")
        return x


class _Block(Composite):
    """x + branch(x), then ReLU; a branch of convolutions, the stride that of the one over 3 x 3."""

    def __init__(self, name: str, inputs: int, filters: tuple[int, ...], kernels: Any, stride: int) -> None:
        super().__init__(name=name)
        strided = [size for _, size in kernels].index(3)
        self.steps = [
            ConvNorm3D(outputs, kernel, stride if i == strided else 1, relu=i < len(kernels) - 1, name=f"conv{i + 1}")
            for i, (outputs, kernel) in enumerate(zip(filters, kernels, strict=True))
        ]
        plain = stride == 1 and inputs == filters[-1]
        self.shortcut = None if plain else ConvNorm3D(filters[-1], (1, 1), stride, relu=False, name="shortcut")

    def call(self, x: Any, training: bool = False) -> Any:
        y = x
        for step in self.steps:
            y = step(y, training=training)
        return tf.nn.relu(y + (x if self.shortcut is None else self.shortcut(x, training=training)))


class ConvNorm3D(Composite):
    """A convolution over clips, its batch normalization and ReLU where `relu`; zeros around, as in `layers.Conv`.

    kernel: its frames, and its height and width. stride: of height and width.
    """

    def __init__(
        self, filters: int, kernel: tuple[int, int], stride: int = 1, relu: bool = True, name: str | None = None
    ) -> None:
        super().__init__(name=name)
        self.conv = Conv3D(filters, (kernel[0], kernel[1], kernel[1]), (1, stride, stride), name="conv")
        self.norm, self.relu = norm(name="norm"), relu

    def call(self, x: Any, training: bool = False) -> Any:
        """float32 [B, T, H, W, C] -> [B, T, ceil(H / stride), ceil(W / stride), filters]."""
        x = self.norm(self.conv(x), training=training)
        return tf.nn.relu(x) if self.relu else x
