"""Inception with batch normalization (arXiv:1502.03167), in the two parts between which ECO branches off."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfloom.trainers.networks.layers import Composite, ConvNorm
from tfloom.trainers.networks.mobilenet_v2 import divisible

BLOCKS = {
    "3a": (64, (64, 64), (64, 96), "average", 32),
    "3b": (64, (64, 96), (64, 96), "average", 64),
    "3c": (0, (128, 160), (64, 96), "max", 0),
    "4a": (224, (64, 96), (96, 128), "average", 128),
    "4b": (192, (96, 128), (96, 128), "average", 128),
    "4c": (160, (128, 160), (128, 160), "average", 128),
    "4d": (96, (128, 192), (160, 192), "average", 128),
    "4e": (0, (128, 192), (192, 256), "max", 0),
    "5a": (352, (192, 320), (160, 224), "average", 128),
    "5b": (352, (192, 320), (192, 224), "max", 128),
}
"""Of each block the channels of its four branches: of 1 x 1; of 3 x 3, reduced and put out; of two 3 x 3, the same; of
1 x 1 after a pooling. A block that has 0 shrinks the picture."""


class Lower(Composite):
    """Frames float32 [N, H, W, C] -> two of [N, H / 8, W / 8, C']: block 3b, and the third branch of 3c begun.

    width: the share of the paper's channels.
    """

    def __init__(self, width: float) -> None:
        super().__init__(name="lower")
        conv = _conv(width)
        self.stem = conv("conv1_7x7_s2", 64, 7, 2)
        self.second = [conv("conv2_3x3_reduce", 64, 1), conv("conv2_3x3", 192, 3)]
        self.blocks = [Inception("3a", width), Inception("3b", width)]
        self.begun = _begun("3c", width)

    def call(self, x: Any, training: bool = False) -> tuple[Any, Any]:
        x = _halved(self.stem(x, training=training))
        for conv in self.second:
            x = conv(x, training=training)
        x = _halved(x)
        for block in self.blocks:
            x = block(x, training=training)
        return x, _through(self.begun, x, training)


class Upper(Composite):
    """What `Lower` gives -> float32 [N, H / 32, W / 32, features]: the blocks from 3c on."""

    def __init__(self, width: float) -> None:
        super().__init__(name="upper")
        self.first = Inception("3c", width, begun=True)
        self.blocks = [Inception(block, width) for block in BLOCKS if block > "3c"]

    def call(self, x: Any, begun: Any, training: bool = False) -> Any:
        x = self.first(x, begun, training=training)
        for block in self.blocks:
            x = block(x, training=training)
        return x


class Inception(Composite):
    """Four branches side by side: float32 [N, H, W, C] -> [N, h, w, C'].

    begun: whether it is called with what the first two convolutions of the third branch make of x.
    """

    def __init__(self, block: str, width: float, begun: bool = False) -> None:
        super().__init__(name=f"inception_{block}")
        one, three, double, self.pooling, projected = BLOCKS[block]
        self.stride = 1 if one else 2
        conv = _conv(width, f"inception_{block}_")
        self.one = conv("1x1", one, 1) if one else None
        self.three = [conv("3x3_reduce", three[0], 1), conv("3x3", three[1], 3, self.stride)]
        self.begun = [] if begun else _begun(block, width)
        self.double = conv("double_3x3_2", double[1], 3, self.stride)
        self.projected = conv("pool_proj", projected, 1) if projected else None

    def call(self, x: Any, begun: Any = None, training: bool = False) -> Any:
        begun = _through(self.begun, x, training) if begun is None else begun
        branches = [_through(self.three, x, training), self.double(begun, training=training)]
        if self.one is not None:
            branches.insert(0, self.one(x, training=training))
        pooled = self._pooled(x)
        branches.append(pooled if self.projected is None else self.projected(pooled, training=training))
        return tf.concat(branches, axis=-1)

    def _pooled(self, x: Any) -> Any:
        if self.stride == 2:
            return _halved(x)
        if self.pooling == "max":
            return tf.nn.max_pool2d(x, 3, 1, "SAME")
        # The zeros around count in the mean, as in Caffe and PyTorch.
        return tf.nn.avg_pool2d(tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]]), 3, 1, "VALID")


def _conv(width: float, prefix: str = "") -> Any:
    def made(name: str, filters: int, size: int, stride: int = 1) -> ConvNorm:
        return ConvNorm(divisible(filters * width), size, stride, use_bias=True, name=prefix + name)

    return made


def _begun(block: str, width: float) -> list[ConvNorm]:
    """The first two convolutions of a block's third branch."""
    (reduced, filters), conv = BLOCKS[block][2], _conv(width, f"inception_{block}_")
    return [conv("double_3x3_reduce", reduced, 1), conv("double_3x3_1", filters, 3)]


def _through(layers: list[ConvNorm], x: Any, training: bool) -> Any:
    for layer in layers:
        x = layer(x, training=training)
    return x


def _halved(x: Any) -> Any:
    """The greatest of 3 x 3 at every second place; rounded up, as Caffe does, so that the padding is at the end."""
    return tf.nn.max_pool2d(x, 3, 2, "SAME")
