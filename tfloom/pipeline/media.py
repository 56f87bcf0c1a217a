"""Video files as data: a row for each of them, or for each window of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from tfloom.feature_specs import storage, video_file
from tfloom.feature_specs.clip_column import ClipColumn
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.sources import Data, files

ENDINGS = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts")

FILE, START, END = "file", "start", "end"
"""Columns beside the input: the file, and in seconds which part of it."""


def are_videos(data: Data) -> bool:
    """Whether data is video files, by their names."""
    several = [data] if isinstance(data, str | Path) else data
    return isinstance(several, Sequence) and bool(several) and all(
        isinstance(one, str | Path) and str(one).lower().endswith(ENDINGS) for one in several
    )  # fmt: skip


def table(spec: FeatureSpec, data: Data, window: float | None = None, stride: float | None = None) -> pa.Table:
    """Rows of the input that the clips of a spec are made of, and of FILE; with a window of START and END, in seconds.

    window, stride: windows of so many seconds, one every so many (left out, one after the other), those that lie whole
    in a file, of a shorter one all of it; without a window a row a file.

    Raises:
      SpecError: where the spec reads no video file, or two. DataError: where there is no such file, or one that does
        not say how long it is.
    """
    source, content = _input(spec)
    paths = [path for one in ([data] if isinstance(data, str | Path) else data) for path in files(one)]
    if window is None:
        if stride is not None:
            raise SpecError("stride: is of windows", expected="a window", received=f"a stride of {stride:g} s alone")
        values = [path if content == "path" else storage.read(path) for path in paths]
        return pa.table({FILE: paths} | {source: pa.array(values)})
    if content != "path":
        raise SpecError(f"columns: {source!r} is the content of files, of which there are no windows",
                        expected="a column with content: path", received=f"content: {content}")  # fmt: skip
    parts = [(path, *part) for path in paths for part in _windows(path, window, stride or window)]
    of, starts, ends = zip(*parts, strict=True)
    named = [f"{path}#t={start:g},{end:g}" for path, start, end in parts]
    return pa.table({FILE: of, START: starts, END: ends, source: named})


def _input(spec: FeatureSpec) -> tuple[str, str]:
    """The column of the data that the spec reads videos from, and whether they are paths or bytes."""
    clips = [column for column in spec.columns if isinstance(column, ClipColumn) and column.content != "frames"]
    found = {(spec.source(column.inputs()[0]), column.content) for column in clips}
    if len(found) != 1:
        raise SpecError("columns: a video file is no row of this spec",
                        expected="columns of clips that are made of one column of the data, by path or bytes",
                        received=", ".join(sorted(source for source, _ in found)) or "none")  # fmt: skip
    return found.pop()


def _windows(path: str, window: float, stride: float) -> Iterator[tuple[float, float]]:
    """(start, end) of each."""
    try:
        whole = video_file.seconds(path)
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be cut into windows", expected="a video that says how long it is",
                        received=str(error)) from None  # fmt: skip
    start = 0.0
    yield start, min(window, whole)
    while (start := round(start + stride, 6)) + window <= whole + 1e-3:
        yield start, start + window
