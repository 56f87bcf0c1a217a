"""ECO (arXiv:1804.09066): the lower half of a 2D network on frames, a 3D network over what it makes of them."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from tfloom.trainers.networks.bn_inception import Lower, Upper
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.networks.mobilenet_v2 import divisible
from tfloom.trainers.networks.resnet3d import ResNet3D
from tfloom.trainers.networks.temporal import fold, unfold

NAMES = {
    r"(conv\d_\w+|inception_\w+)/conv": r"\1",
    r"(conv\d_\w+|inception_\w+)/norm": r"\1_bn",
    r"(res\d[ab]_\w+)": r"\1",
    r"consensus/dense": "fc",
}
"""What its layers are called in a state dict, as the Caffe model and its ports to PyTorch call them."""


class Eco(Composite):
    """float32 [B, T, H, W, C] -> [B, units].

    width: the share of the paper's channels. full: the 2D network's upper half sees each frame too, and the mean of
    what it sees stands beside that of the 3D network. consensus: the layer from [B, 1, features] to [B, units].
    """

    def __init__(self, frames: int, width: float, full: bool, consensus: keras.Layer) -> None:
        super().__init__(name="eco")
        self.frames, self.consensus = frames, consensus
        self.lower, self.volume = Lower(width), ResNet3D(divisible(128 * width))
        self.upper = Upper(width) if full else None

    def call(self, x: Any, training: bool = False) -> Any:
        x, begun = self.lower(fold(x), training=training)
        seen = [tf.reduce_mean(self.volume(unfold(begun, self.frames), training=training), axis=(1, 2, 3))]
        if self.upper is not None:
            each = unfold(self.upper(x, begun, training=training), self.frames)
            seen.insert(0, tf.reduce_mean(each, axis=(1, 2, 3)))
        return self.consensus(tf.concat(seen, axis=-1)[:, None], training=training)
