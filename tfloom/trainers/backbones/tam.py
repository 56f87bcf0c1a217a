"""`tam`: the Temporal Adaptive Module, which makes of each clip the kernel that convolves it."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf

from tfloom.trainers import pretrained
from tfloom.trainers.networks.layers import Composite, norm
from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.temporal import temporal_conv, unfold
from tfloom.trainers.video_backbone import VideoBackbone

_OF_ITS_AUTHORS = pretrained.in_blocks({
    "tam/kernel1": "tam.G.0",
    "tam/kernel_norm": "tam.G.1",
    "tam/kernel2": "tam.G.3",
    "tam/gate1": "tam.L.0",
    "tam/gate_norm": "tam.L.1",
    "tam/gate2": "tam.L.3",
})  # fmt: skip


class Tam(VideoBackbone):
    """TANet (arXiv:2005.06803): a Temporal Adaptive Module after the first convolution of each block.

    It learns layers over the frames of a clip, so what it learnt of 8 frames cannot be asked about 16.
    """

    names_of_modules = ({}, _OF_ITS_AUTHORS)

    name: Literal["tam"] = "tam"

    def modules(self, frames: int) -> Modules:
        return _Adaptive(frames)


class _Adaptive(Modules):
    def middle(self, place: Place) -> keras.Layer:
        return TemporalAdaptive(self.frames, place.inner)


class TemporalAdaptive(Composite):
    """TAM: float32 [B * T, H, W, filters] -> the same shape.

    Both branches see the means of the pictures, [B, T, filters]. The local one is a convolution over time to a quarter
    of the channels (beta 4), one back, and a sigmoid: by it the values are multiplied. The global one is a network over
    the frames, 2 T units (alpha 2), whose softmax gives each channel of each clip a kernel of 3: by that they are
    convolved over time. All start as PyTorch's layers do, uniform within 1 / sqrt(inputs).
    """

    def __init__(self, frames: int, filters: int) -> None:
        super().__init__(name="tam")
        self.frames = frames
        start: dict[str, Any] = {
            "use_bias": False,
            "kernel_initializer": keras.initializers.VarianceScaling(1 / 3, "fan_in", "uniform"),
        }
        self.kernel = [
            keras.layers.Dense(2 * frames, name="kernel1", **start),
            norm(name="kernel_norm"),
            keras.layers.ReLU(),
            keras.layers.Dense(3, name="kernel2", **start),
            keras.layers.Softmax(),
        ]
        self.gate = [
            keras.layers.Conv1D(max(1, filters // 4), 3, padding="same", name="gate1", **start),
            norm(name="gate_norm"),
            keras.layers.ReLU(),
            keras.layers.Conv1D(filters, 1, name="gate2", activation="sigmoid", **start),
        ]

    def call(self, x: Any, training: bool = False) -> Any:
        means = tf.reduce_mean(x, axis=(1, 2))
        gate = kernel = unfold(means, self.frames)
        for step in self.gate:
            gate = step(gate, training=training)
        # Of a number a channel alone is it transposed, not of the pictures.
        kernel = tf.transpose(kernel, [0, 2, 1])
        for step in self.kernel:
            kernel = step(kernel, training=training)
        gate = tf.reshape(gate, [-1, 1, 1, x.shape[-1]])
        return temporal_conv(x * gate, tf.transpose(kernel, [0, 2, 1]), self.frames)
