"""`video`: a clip, of which some frames are kept, sampled and resized in the model."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tfloom.feature_specs import video_file
from tfloom.feature_specs.clip_column import ClipColumn
from tfloom.feature_specs.pictures import Scale


class Video(ClipColumn):
    """Frames of a video: float32 [B, frames, height, width, 3], red, green and blue.

    What is materialised, and what a client sends, is a list of frames, each a JPEG; the trainer and the export sample,
    decode and resize them by the same function. A row whose video cannot be read or decoded is rejected.

    consecutive: how many frames in a row stand for a moment, for backbones that look within one: 5 for tdn, whose
      `frames: 40` are eight times five. kept_frames counts moments.
    scale: `imagenet`, (x / 255 - mean) / standard deviation of each of the three channels, as the weights of
      torchvision and timm were trained; `0_1`, `-1_1` or `none` (0 to 255).
    """

    kind: Literal["video"] = "video"
    consecutive: Annotated[int, Field(ge=1, le=64)] = 1
    scale: Scale = "imagenet"

    @model_validator(mode="after")
    def _whole_moments(self) -> Video:
        if self.frames % self.consecutive:
            raise ValueError(f"frames that are a multiple of {self.consecutive}, those of a moment")
        return self

    @property
    def frames_a_moment(self) -> int:
        return self.consecutive

    @property
    def channels(self) -> int:
        return 3

    def _ingested(self) -> tuple[Any, ...]:
        return (*super()._ingested(), self.consecutive)

    def pictures(self, video: str | bytes) -> list[bytes]:
        kept: list[int] = []

        def frames(count: int) -> list[int]:
            kept[:] = itertools.chain.from_iterable(self.runs(count, self.consecutive))
            return sorted(set(kept))

        made = video_file.pictures(video, frames, self.side, lambda x: video_file.jpeg(x, self.quality))
        of = dict(zip(sorted(set(kept)), made, strict=True))
        return [of[frame] for frame in kept]
