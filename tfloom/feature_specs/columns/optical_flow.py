"""`optical_flow`: how a video moves, fields of flow stacked as channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, model_validator

from tfloom.feature_specs import video_file
from tfloom.feature_specs.clip_column import ClipColumn
from tfloom.feature_specs.pictures import Scale

Flow = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Two grey frames, uint8 [H, W] -> float32 [H, W, 2] in pixels, x and y."""

_SMALLEST = 16
"""Pixels of a side that every method can do with."""


class OpticalFlow(ClipColumn):
    """Stacked optical flow of a video: float32 [B, frames, height, width, 2 * stack], x and y of each field in turn.

    Simonyan and Zisserman 2014, "Two-Stream Convolutional Networks for Action Recognition in Videos", arXiv:1406.2199.
    Preprocessing computes it, of frames whose shorter side is kept_side. What is materialised, and what a client sends,
    is a list of grey JPEGs, x and y of each field, in whole numbers from 0, -bound, to 255, bound. A row whose video
    cannot be read or decoded is rejected.

    method: `dis` (Kroeger et al. 2016, arXiv:1603.03590) or `farneback` (2003), both of OpenCV, or `tv_l1` (Zach et al.
      2007) of scikit-image, which takes some fifty times as long as the others.
    stack: how many fields stand for a moment, from each frame to the next.
    bound: pixels a frame; what moves further, left or right, up or down, is as if it moved so far.
    scale: `-1_1`, of -bound to bound, `0_1` or `none` (0 to 255).
    """

    kind: Literal["optical_flow"] = "optical_flow"
    method: Literal["dis", "farneback", "tv_l1"] = "dis"
    stack: Annotated[int, Field(ge=1, le=64)] = 5
    bound: Annotated[float, Field(gt=0, allow_inf_nan=False)] = 20.0
    scale: Scale = "-1_1"

    @model_validator(mode="after")
    def _no_colours(self) -> OpticalFlow:
        if self.augmentation and (self.augmentation.brightness or self.augmentation.contrast):
            raise ValueError("an augmentation without brightness and contrast, which flow does not have")
        if self.scale == "imagenet":
            raise ValueError("-1_1, 0_1 or none: imagenet is of colours")
        return self

    @property
    def pictures_a_moment(self) -> int:
        return 2 * self.stack

    @property
    def channels(self) -> int:
        return 2 * self.stack

    def _ingested(self) -> tuple[Any, ...]:
        return (*super()._ingested(), self.method, self.stack, self.bound)

    def pictures(self, video: str | bytes) -> list[bytes]:
        flow, cv2 = _METHODS[self.method](), video_file.extra("cv2")
        pairs: list[tuple[int, int]] = []
        """The frames of each field, those of a moment together; the last frame follows itself."""

        def frames(count: int) -> list[int]:
            firsts = self.moments(max(count - self.stack, 1))
            pairs[:] = [
                (min(first + i, count - 1), min(first + i + 1, count - 1))
                for first in firsts
                for i in range(self.stack)
            ]
            return sorted({frame for pair in pairs for frame in pair})

        grey = video_file.pictures(video, frames, self.side, lambda x: cv2.cvtColor(x, cv2.COLOR_BGR2GRAY))
        height, width = grey[0].shape
        if min(height, width) < _SMALLEST:
            raise ValueError(f"is of {width} x {height} pixels, too few to tell how they move")
        of = dict(zip(sorted({frame for pair in pairs for frame in pair}), grey, strict=True))
        fields = {pair: self._encoded(flow(*map(of.__getitem__, pair))) for pair in dict.fromkeys(pairs)}
        return [part for pair in pairs for part in fields[pair]]

    def _encoded(self, flow: np.ndarray) -> tuple[bytes, bytes]:
        """float32 [H, W, 2] in pixels -> x and y."""
        levels = np.rint((flow + self.bound) * (255 / (2 * self.bound))).clip(0, 255).astype(np.uint8)
        x, y = (video_file.jpeg(np.ascontiguousarray(levels[..., i]), self.quality) for i in range(2))
        return x, y

    def mirrored(self, clip: Any, flips: Any) -> Any:
        import tensorflow as tf

        is_x = tf.constant([True, False] * self.stack)
        return tf.where(tf.logical_and(flips, is_x), 255 - clip, clip)


def _dis() -> Flow:
    cv2 = video_file.extra("cv2")
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    return lambda a, b: method.calc(a, b, None)


def _farneback() -> Flow:
    cv2 = video_file.extra("cv2")
    return lambda a, b: cv2.calcOpticalFlowFarneback(a, b, None, 0.5, 3, 15, 3, 5, 1.2, 0)


def _tv_l1() -> Flow:
    registration = video_file.extra("skimage.registration")
    as_float = lambda x: x.astype(np.float32) / 255
    return lambda a, b: np.stack(registration.optical_flow_tvl1(as_float(a), as_float(b))[::-1], axis=-1)


_METHODS: dict[str, Callable[[], Flow]] = {"dis": _dis, "farneback": _farneback, "tv_l1": _tv_l1}
