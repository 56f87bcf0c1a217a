"""`tsm`: the Temporal Shift Module."""

from __future__ import annotations

from typing import Any, Literal

import keras

from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.temporal import shift
from tfloom.trainers.video_backbone import VideoBackbone


class Tsm(VideoBackbone):
    """An eighth of the channels from the next frame and an eighth from the last, in each block (arXiv:1811.08383).

    online: an eighth from the last frame alone, so that an export can be asked frame by frame.
    """

    name: Literal["tsm"] = "tsm"
    online: bool = False

    def modules(self, frames: int) -> Modules:
        return _Shifts(frames, both=not self.online)


class _Shifts(Modules):
    def __init__(self, frames: int, both: bool) -> None:
        super().__init__(frames)
        self.both = both

    def before(self, place: Place) -> keras.Layer:
        return Shift(self.frames, self.both)


class Shift(keras.Layer):
    """See `networks.temporal.shift`; no variables."""

    def __init__(self, frames: int, both: bool = True) -> None:
        super().__init__(name="shift")
        self.frames, self.both = frames, both

    def call(self, x: Any) -> Any:
        return shift(x, self.frames, both=self.both)
