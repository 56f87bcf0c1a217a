"""Frames of a video file, by PyAV (FFmpeg): those asked for, upright, no larger than needed."""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import SpecError

One = TypeVar("One")

_WINDOW = re.compile(r"#t=(?:npt:)?(\d*\.?\d*)(?:,(\d*\.?\d+))?$")

_WHOLE = 0.9
"""The share of a file that has to be there. A decoder may leave out frames at its beginning, which lean on others."""


def extra(module: str) -> Any:
    """A module of the extra `video`. Raises SpecError where it is not installed."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise SpecError(f"{module}: is needed to read video, and is not there",
                        expected="pip install 'tfloom[video]'", received=str(error)) from None  # fmt: skip


def window(path: str) -> tuple[str, float, float]:
    """A path, and the seconds of it that are meant: all, unless it ends with `#t=1.5,3` (W3C, Media Fragments URI)."""
    found = _WINDOW.search(path)
    if found is None:
        return path, 0.0, math.inf
    start, end = (float(text) if text else None for text in found.groups())
    return path[: found.start()], start or 0.0, math.inf if end is None else end


def pictures(
    video: str | bytes, choose: Callable[[int], Sequence[int]], side: int, then: Callable[[np.ndarray], One]
) -> list[One]:
    """What `then` makes of some frames of a video; no other is converted, and no two are in memory at once.

    Args:
      video: a path, with a window or without one, or the content of a file.
      choose: from how many frames there are to the indices of those wanted, rising.
      side: the longest that the shorter side of a frame may be; larger ones are made smaller.
      then: called with each, uint8 [H, W, 3], blue, green and red.

    Raises OSError or ValueError: with why it cannot be read, has no frame, or less than it says.
    """
    path, start, end = window(video) if isinstance(video, str) else (video, 0.0, math.inf)
    with _file(path) as file:
        return _pictures(file, start, end, choose, side, then)


def seconds(path: str) -> float:
    """How long a video is. Raises OSError or ValueError with why that cannot be said."""
    with _file(path) as file, _opened(file) as container:
        said = _duration(container, _stream(container)) or (container.duration or 0) / 1_000_000
    if not said:
        raise ValueError("does not say how long it is")
    return said


@contextlib.contextmanager
def _file(video: str | bytes) -> Iterator[Any]:
    """What FFmpeg opens; its errors as ValueError."""
    av = extra("av")
    try:
        if isinstance(video, bytes):
            yield io.BytesIO(video)
        elif not storage.is_remote(video):
            yield video
        else:
            with storage.opened(video, 1 << 20) as file:
                yield file
    except av.FFmpegError as error:
        raise ValueError(error.strerror) from None


def jpeg(pixels: np.ndarray, quality: int) -> bytes:
    """uint8 [H, W, 3], blue, green and red, or [H, W] -> a JPEG."""
    cv2 = extra("cv2")
    content: bytes = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
    return content


def _pictures(
    file: Any, start: float, end: float, choose: Callable[[int], Sequence[int]], side: int, then: Callable[..., One]
) -> list[One]:
    with _opened(file) as container:
        stream = _stream(container)
        said = _frames_said(container, stream, start, end)
        wanted = choose(said)
        made = _chosen(_decoded(container, stream, start, end), wanted, side, then)
    if len(made) < len(wanted):
        with _opened(file) as container:
            found = sum(1 for _ in _decoded(container, _stream(container), start, end))
        if found < _WHOLE * said:
            raise ValueError(f"{found} of its {said} frames can be decoded")
        with _opened(file) as container:
            made = _chosen(_decoded(container, _stream(container), start, end), choose(found), side, then)
    return made


def _chosen(frames: Iterable[Any], wanted: Sequence[int], side: int, then: Callable[[np.ndarray], One]) -> list[One]:
    made: list[One] = []
    reformatter = extra("av.video.reformatter").VideoReformatter()
    for index, frame in enumerate(frames):
        if index == wanted[len(made)]:
            made.append(then(_upright(frame, side, reformatter)))
            if len(made) == len(wanted):
                break
    return made


def _frames_said(container: Any, stream: Any, start: float, end: float) -> int:
    """How many frames a file has: as it says, or by its packets, of which one holds one. It stands at its beginning."""
    if stream.frames and not start and end == math.inf:
        return int(stream.frames)
    count, reached = 0, 0.0
    _seek(container, stream, start)
    for packet in container.demux(stream):
        if packet.size and not packet.is_discard:
            shown = packet.pts if packet.pts is not None else packet.dts
            count += start <= _seconds(shown, stream) < end
            reached = max(reached, _seconds(shown, stream) + float((packet.duration or 0) * stream.time_base))
        if packet.dts is not None and _seconds(packet.dts, stream) >= end:
            break
    if not count:
        raise ValueError("has no frame" if end == math.inf else f"has no frame from {start:g} to {end:g} s")
    said = _duration(container, stream)
    if end == math.inf and said and 0 < reached < _WHOLE * said:
        raise ValueError(f"ends after {reached:.1f} of its {said:.1f} s")
    container.seek(stream.start_time or 0, stream=stream)
    return count


def _decoded(container: Any, stream: Any, start: float, end: float) -> Iterator[Any]:
    """Its frames in the order in which they are shown."""
    _seek(container, stream, start)
    for frame in container.decode(stream):
        shown = _seconds(frame.pts if frame.pts is not None else frame.dts, stream)
        if shown >= end:
            return
        if shown >= start:
            yield frame


def _opened(file: Any) -> Any:
    if not isinstance(file, str):
        file.seek(0)
    return extra("av").open(file, metadata_errors="ignore")


def _stream(container: Any) -> Any:
    """The video stream of a container."""
    stream = container.streams.best("video")
    if stream is None:
        raise ValueError("has no video stream")
    stream.codec_context.thread_count = 1  # there are more clips than cores
    return stream


def _seek(container: Any, stream: Any, start: float) -> None:
    """Before `start`; nothing, where that is the beginning."""
    if start:
        container.seek(int(start / stream.time_base) + (stream.start_time or 0), stream=stream)


def _seconds(timestamp: int | None, stream: Any) -> float:
    """From the beginning of the video; 0 where a file does not say it."""
    return 0.0 if timestamp is None else float((timestamp - (stream.start_time or 0)) * stream.time_base)


def _duration(container: Any, stream: Any) -> float | None:
    """How many seconds a video stream takes, by its file; of a container that has others they may take longer."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    alone = len(container.streams) == 1 and container.duration is not None
    return container.duration / 1_000_000 if alone else None


def _upright(frame: Any, side: int, reformatter: Any) -> np.ndarray:
    """uint8 [H, W, 3] as it is shown: turned as the file says."""
    height, width = frame.height, frame.width
    scale = min(1.0, side / min(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    pixels: np.ndarray = reformatter.reformat(frame, *size, "bgr24", threads=1).to_ndarray()
    return np.rot90(pixels, frame.rotation // 90) if frame.rotation else pixels
