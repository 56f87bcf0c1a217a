"""`tsm`: the Temporal Shift Module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfloom.feature_specs.clip_column import ClipColumn
from tfloom.feature_specs.pictures import scaled
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.networks.modules import Modules, Place
from tfloom.trainers.networks.temporal import shift
from tfloom.trainers.signature import Signature
from tfloom.trainers.video_backbone import OverFrames, VideoBackbone


class Tsm(VideoBackbone):
    """An eighth of the channels from the next frame and an eighth from the last, in each block (arXiv:1811.08383).

    online: an eighth from the last frame alone, so that an export can be asked frame by frame.
    """

    name: Literal["tsm"] = "tsm"
    online: bool = False

    def modules(self, frames: int) -> Modules:
        return _Shifts(frames, both=not self.online)

    def signatures(self, spec: FeatureSpec, layer: Any, predictions: Callable[[Any], Any]) -> Mapping[str, Signature]:
        (column,) = self.parts(spec)["clip"]
        return {"online": _online(column, layer.over_clips, predictions)} if self.online else {}  # type: ignore[arg-type]


class _Shifts(Modules):
    def __init__(self, frames: int, both: bool) -> None:
        super().__init__(frames)
        self.both = both

    def before(self, place: Place) -> keras.Layer:
        return Shift(self.frames, self.both)


class Shift(keras.Layer):
    """See `networks.temporal.shift`; no variables.

    past: where frames come one by one, the channels that the last one handed on, [B, H, W, C / 8]; a call puts those of
    this frame in its place. kept: their shape, without the batch.
    """

    def __init__(self, frames: int, both: bool = True) -> None:
        super().__init__(name="shift")
        self.frames, self.both = frames, both
        self.past: Any = None

    def build(self, input_shape: Any) -> None:
        *size, channels = input_shape[1:]
        self.kept = (*size, channels // 8)

    def call(self, x: Any) -> Any:
        if self.past is None:
            return shift(x, self.frames, both=self.both)
        handed_on, self.past = self.past, x[..., : self.kept[-1]]
        return tf.concat([handed_on, x[..., self.kept[-1] :]], axis=-1)


def _online(column: ClipColumn, over_frames: OverFrames, predictions: Callable[[Any], Any]) -> Signature:
    """A clip frame by frame, with what the frames before hand on going in and out (section 4.2 of the paper).

    frame_uint8 [B, H, W, C] of the model's size and cache_0, cache_1, ..., zeros before the first frame -> predictions
    of the frame, and the caches for the next one. The mean of the logits over a clip is what the clip as a whole has.
    """
    shifts = [one for one in over_frames._flatten_layers() if isinstance(one, Shift)]
    caches = {f"cache_{i}": one.kept for i, one in enumerate(shifts)}
    inputs = {"frame_uint8": tf.TensorSpec([None, *column.augmented.shape[1:]], tf.uint8, name="frame_uint8")}
    inputs |= {name: tf.TensorSpec([None, *shape], tf.float32, name=name) for name, shape in caches.items()}

    def call(values: Mapping[str, Any]) -> Mapping[str, Any]:
        for name, one in zip(caches, shifts, strict=True):
            one.past = values[name]
        try:
            x = over_frames.network(scaled(tf.cast(values["frame_uint8"], tf.float32), column.scale), training=False)
            outputs = over_frames.consensus(tf.reduce_mean(x, axis=(1, 2))[:, None], training=False)
            return {**predictions(outputs), **{name: one.past for name, one in zip(caches, shifts, strict=True)}}
        finally:
            for one in shifts:
                one.past = None

    def golden(row: Mapping[str, np.ndarray]) -> Mapping[str, Any]:
        frames = column.served_forms()["frames_uint8"].golden(tf.constant(row[column.name]))
        return {"frame_uint8": frames[:, 0]} | {name: np.zeros([1, *s], np.float32) for name, s in caches.items()}

    return Signature(inputs, call, golden)
