"""The seam between a network over pictures and a temporal family: where in its blocks a family puts its modules."""

from __future__ import annotations

from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Place:
    """A residual block of a network.

    stage, index: which one, from 1 and from 0. inputs: channels that it reads. inner: channels between its
    convolutions. stride: 1 or 2, of the convolution that shrinks the picture.
    """

    stage: int
    index: int
    inputs: int
    inner: int
    stride: int


class Modules:
    """What a family puts into the residual branch of each block; a family derives from it. These put nothing.

    frames: T, by which frames are folded into the batch. All layers map [B * T, H, W, C] to the same or, `conv`, to
    stride-th height and width.
    """

    use_bias = False
    """Whether the convolutions of a ResNet have a bias, although a normalization follows them."""

    def __init__(self, frames: int) -> None:
        self.frames = frames

    def inner(self, planes: int) -> int:
        """Channels between the convolutions of a bottleneck block that a plain network gives `planes`."""
        return planes

    def before(self, place: Place) -> keras.Layer | None:
        """Before the first convolution, which reads place.inputs channels."""
        return None

    def middle(self, place: Place) -> keras.Layer | None:
        """After the first convolution, its normalization and ReLU: place.inner channels."""
        return None

    def conv(self, place: Place) -> keras.Layer | None:
        """In place of the 3 x 3 convolution of place.inner channels, its normalization and ReLU."""
        return None
