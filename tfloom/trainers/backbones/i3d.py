"""`i3d`: a ResNet inflated along time, with non-local blocks where asked for."""

from __future__ import annotations

from typing import Any, Literal

import keras
import tensorflow as tf
from pydantic import ValidationInfo, field_validator

from tfloom.trainers.networks.inflated_resnet import InflatedResNet
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.networks.mobilenet_v2 import divisible
from tfloom.trainers.networks.non_local import Affinity, NonLocal
from tfloom.trainers.networks.resnet import BLOCKS
from tfloom.trainers.video_backbone import Average, ClipBackbone


class I3d(ClipBackbone):
    """Convolutions over space and time (arXiv:1705.07750), as the I3D ResNet of arXiv:1711.07971 has them.

    network: `resnet50`, or the smaller `resnet18`.
    non_local: the blocks that a non-local block follows, as PyTorch names them; the paper's five are
      [layer2.1, layer2.3, layer3.1, layer3.3, layer3.5].
    affinity: of two places of a clip in a non-local block, `embedded_gaussian` or `dot_product`.
    """

    name: Literal["i3d"] = "i3d"
    network: Literal["resnet50", "resnet18"] = "resnet50"
    non_local: tuple[str, ...] = ()
    affinity: Affinity = "embedded_gaussian"

    @field_validator("non_local")
    @classmethod
    def _known(cls, blocks: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        counts = BLOCKS[_depth(info.data.get("network", "resnet50"))]
        known = {f"layer{stage}.{index}" for stage, count in enumerate(counts, 1) for index in range(count)}
        if not known.issuperset(blocks):
            last = ", ".join(f"layer{stage}.{count - 1}" for stage, count in enumerate(counts, 1))
            raise ValueError(f"blocks of the network, of which the last of their stages are {last}")
        return blocks

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        return OverClips(self.inflated(), Average(self.dropout, units))

    def inflated(self, last_stride: int = 2) -> InflatedResNet:
        """The network."""
        return InflatedResNet(_depth(self.network), divisible(64 * self.width), self._after, last_stride)

    def _after(self, block: str, channels: int) -> keras.Layer | None:
        if block not in self.non_local:
            return None
        return NonLocal(channels, self.affinity, name=f"non_local_{block.replace('.', '_')}")


class OverClips(Composite):
    """float32 [B, T, H, W, C] -> [B, units]: what the consensus makes of the mean over space and time."""

    def __init__(self, network: keras.Layer, consensus: keras.Layer) -> None:
        super().__init__(name="over_clips")
        self.network, self.consensus = network, consensus

    def call(self, x: Any, training: bool = False) -> Any:
        pooled = tf.reduce_mean(self.network(x, training=training), axis=(1, 2, 3))
        return self.consensus(pooled[:, None], training=training)


def _depth(network: str) -> int:
    return int(network.removeprefix("resnet"))
