"""`tsn`: Temporal Segment Networks, frames that know nothing of each other."""

from __future__ import annotations

from typing import Literal

from tfloom.trainers.video_backbone import VideoBackbone


class Tsn(VideoBackbone):
    """Each frame by itself, and the mean of their class scores (arXiv:1608.00859): the order of frames says nothing."""

    name: Literal["tsn"] = "tsn"
