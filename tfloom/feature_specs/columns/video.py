"""`video`: a clip, of which some frames are kept, sampled and resized in the model."""

from __future__ import annotations

from typing import Literal

from tfloom.feature_specs import video_file
from tfloom.feature_specs.clip_column import ClipColumn
from tfloom.feature_specs.pictures import Scale


class Video(ClipColumn):
    """Frames of a video: float32 [B, frames, height, width, 3], red, green and blue.

    What is materialised, and what a client sends, is a list of frames, each a JPEG; the trainer and the export sample,
    decode and resize them by the same function. A row whose video cannot be read or decoded is rejected.

    scale: `imagenet`, (x / 255 - mean) / standard deviation of each of the three channels, as the weights of
      torchvision and timm were trained; `0_1`, `-1_1` or `none` (0 to 255).
    """

    kind: Literal["video"] = "video"
    scale: Scale = "imagenet"

    @property
    def channels(self) -> int:
        return 3

    def pictures(self, video: str | bytes) -> list[bytes]:
        return video_file.pictures(video, self.moments, self.side, lambda x: video_file.jpeg(x, self.quality))
