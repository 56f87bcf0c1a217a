"""`video`: a clip, of which some frames are kept, sampled and resized in the model."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from tfloom.feature_specs import video_file
from tfloom.feature_specs.clip_column import ClipColumn

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


class Video(ClipColumn):
    """Frames of a video: float32 [B, frames, height, width, 3], red, green and blue.

    What is materialised, and what a client sends, is a list of frames, each a JPEG; the trainer and the export sample,
    decode and resize them by the same function. A row whose video cannot be read or decoded is rejected.

    scale: `imagenet` (0 to 1, less its mean and divided by its standard deviation), `0_1`, `-1_1` or `none` (0 to 255).
    """

    kind: Literal["video"] = "video"
    scale: Literal["0_1", "-1_1", "imagenet", "none"] = "imagenet"

    @property
    def channels(self) -> int:
        return 3

    def encoded(self, video: str | bytes) -> list[bytes]:
        cv2 = video_file.extra("cv2")
        options = [cv2.IMWRITE_JPEG_QUALITY, self.quality]
        as_jpeg = lambda pixels: cv2.imencode(".jpg", pixels, options)[1].tobytes()
        return video_file.pictures(video, self.kept, self.side, as_jpeg)

    def normalised(self, pixels: Any) -> Any:
        if self.scale == "imagenet":
            return (pixels / 255.0 - _MEAN) / _DEVIATION
        return {"0_1": pixels / 255.0, "-1_1": pixels / 127.5 - 1.0, "none": pixels}[self.scale]

    def augmented(self, pixels: Any, drawn: Any) -> Any:
        import tensorflow as tf

        return tf.where(drawn[0] < 0.5, pixels[:, ::-1], pixels) if self.flip else pixels
