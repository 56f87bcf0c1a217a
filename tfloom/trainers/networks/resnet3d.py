"""The upper part of a 3D ResNet-18 (arXiv:1711.09577), which normalizes before its convolutions, as ECO has it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from tfloom.trainers.networks.layers import Composite, Conv3D, norm

BLOCKS = {"res3b": (128, 1), "res4a": (256, 2), "res4b": (256, 1), "res5a": (512, 2), "res5b": (512, 1)}
"""Of each block its channels and its stride, in time too."""


class ResNet3D(Composite):
    """Clips of maps float32 [B, T, H, W, C] -> float32 [B, T / 4, H / 4, W / 4, features], rounded up.

    width: channels of the first convolution, 128 in the paper.
    """

    def __init__(self, width: int) -> None:
        super().__init__(name="resnet3d")
        self.conv, self.norm = Conv3D(width, 3, use_bias=True, name="res3a_2n"), norm(name="res3a_bn")
        self.blocks = [Block(name, width * planes // 128, stride) for name, (planes, stride) in BLOCKS.items()]

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.conv(x)
        activated = tf.nn.relu(self.norm(x, training=training))
        for block in self.blocks:
            x, activated = block(x, activated, training=training)
        return activated


class Block(Composite):
    """x and its normalized self, after ReLU -> the same of the sum; with a stride the shortcut is a convolution too."""

    def __init__(self, name: str, filters: int, stride: int) -> None:
        super().__init__(name=name)
        self.conv1 = Conv3D(filters, 3, stride, use_bias=True, name=f"{name}_1")
        self.norm1 = norm(name=f"{name}_1_bn")
        self.conv2 = Conv3D(filters, 3, use_bias=True, name=f"{name}_2")
        self.down = Conv3D(filters, 3, stride, use_bias=True, name=f"{name}_down") if stride > 1 else None
        self.norm = norm(name=f"{name}_bn")

    def call(self, x: Any, activated: Any, training: bool = False) -> tuple[Any, Any]:
        y = self.conv2(tf.nn.relu(self.norm1(self.conv1(activated), training=training)))
        x = y + (x if self.down is None else self.down(activated))
        return x, tf.nn.relu(self.norm(x, training=training))
