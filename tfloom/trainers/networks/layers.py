"""Convolutions and normalization as the reference implementations of these networks have them."""

from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfloom.trainers.networks.temporal import temporal_conv


class Composite(keras.Layer):
    """A layer of layers: each makes its variables when it is first called.

    Keras would find their shapes by tracing it once before that, and what it is made of once more, and so on.
    """

    def build(self, input_shape: Any = None) -> None:
        pass


class Conv(keras.layers.Conv2D):
    """A convolution that pads (size - 1) / 2 on each side: [N, H, W, C] -> [N, H / stride, W / stride, filters].

    Keras' own "same" gives the same shape, rounded up, but pads another side where the stride is 2.
    """

    def __init__(self, filters: int, size: int, stride: int = 1, use_bias: bool = False, **more: Any) -> None:
        start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        super().__init__(filters, size, stride, padding="same", use_bias=use_bias, kernel_initializer=start, **more)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return tf.nn.conv2d(inputs, kernel, self.strides, around(self.kernel_size[0]))


class Depthwise(keras.layers.DepthwiseConv2D):
    """The same of each channel by itself."""

    def __init__(self, size: int, stride: int = 1, **more: Any) -> None:
        super().__init__(size, stride, padding="same", use_bias=False, **more)

    def call(self, x: Any) -> Any:
        return tf.nn.depthwise_conv2d(x, self.kernel, [1, *self.strides, 1], around(self.kernel_size[0]))


class Conv3D(keras.layers.Conv3D):
    """The same over clips: [B, T, H, W, C] -> [B, T / stride, H / stride, W / stride, filters], of each its own."""

    def __init__(
        self, filters: int, size: Any, strides: Any = 1, use_bias: bool = False, name: str | None = None
    ) -> None:
        start = keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")
        super().__init__(filters, size, strides, "same", use_bias=use_bias, kernel_initializer=start, name=name)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        if max(self.strides) == 1:  # TensorFlow's own "same" pads both sides alike
            return tf.nn.conv3d(inputs, kernel, [1] * 5, "SAME")
        return tf.nn.conv3d(padded(inputs, self.kernel_size), kernel, [1, *self.strides, 1], "VALID")


def padded(x: Any, size: tuple[int, ...]) -> Any:
    """A clip with the zeros around that a convolution of this size takes."""
    return tf.pad(x, [[0, 0], *([(one - 1) // 2] * 2 for one in size), [0, 0]])


def around(size: int) -> list[list[int]]:
    """The padding of a convolution of this size, as TensorFlow's ops take it."""
    side = [(size - 1) // 2] * 2
    return [[0, 0], side, side, [0, 0]]


def norm(**more: Any) -> keras.layers.BatchNormalization:
    """Batch normalization with the epsilon and momentum of the references."""
    return keras.layers.BatchNormalization(momentum=0.9, epsilon=1e-5, **more)


class ConvNorm(Composite):
    """A convolution, its batch normalization and ReLU, up to `relu` where there is such a bound; None: no ReLU.

    use_bias: some references have a bias, although the normalization takes it away again.
    """

    def __init__(self, filters: int, size: int, stride: int = 1, *, relu: float | None = math.inf,
                 use_bias: bool = False, name: str | None = None) -> None:  # fmt: skip
        super().__init__(name=name)
        self.conv, self.norm, self.relu = Conv(filters, size, stride, use_bias, name="conv"), norm(name="norm"), relu

    def call(self, x: Any, training: bool = False) -> Any:
        """float32 [N, H, W, C] -> [N, ceil(H / stride), ceil(W / stride), filters]."""
        x = self.norm(self.conv(x), training=training)
        if self.relu is None:
            return x
        return tf.nn.relu(x) if math.isinf(self.relu) else tf.clip_by_value(x, 0.0, self.relu)


class TemporalConv(keras.Layer):
    """A convolution of 3 over time of each channel by itself: float32 [B * T, H, W, C] -> the same shape.

    share: it starts as the shift of TSM, C / share channels from t + 1, as many from t - 1, the others as they are;
    None: all as they are.
    """

    def __init__(self, frames: int, name: str, share: int | None = 8) -> None:
        super().__init__(name=name)
        self.frames, self.share = frames, share

    def build(self, shape: Any) -> None:
        channels = shape[-1]
        size = channels // self.share if self.share else 0
        start = np.zeros([3, channels])
        start[2, :size] = start[0, size : 2 * size] = start[1, 2 * size :] = 1
        self.kernel = self.add_weight(shape=start.shape, initializer=keras.initializers.Constant(start), name="kernel")

    def call(self, x: Any) -> Any:
        return temporal_conv(x, self.kernel, self.frames)
