"""What it takes to make a row of a video file, beside PyAV alone decoding the same frames, without JPEGs of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import VideoReformatter

from tfloom.feature_specs.columns.video import Video

COLUMN = Video(name="clip", frames=8, height=224, width=224, short_side=256)


def ingest(paths: Sequence[str], repetitions: int = 5) -> list[dict[str, Any]]:
    """A row for each side: clips a second of a core, median over repetitions, the two taken in turns for each clip."""
    sides: dict[str, Callable[[str], Any]] = {"tfloom": COLUMN.pictures, "PyAV": _by_pyav}
    taken: dict[str, list[tuple[float, float]]] = {side: [] for side in sides}
    for _ in range(repetitions):
        total = {side: np.zeros(2) for side in sides}
        for path in paths:
            for side, make in sides.items():
                wall, cpu = time.perf_counter(), time.process_time()
                make(path)
                total[side] += time.perf_counter() - wall, time.process_time() - cpu
        for side, (wall, cpu) in total.items():
            taken[side].append((wall, cpu))
    rows = []
    for side, times in taken.items():
        over = [[a[i] / b[i] for a, b in zip(times, taken["PyAV"], strict=True)] for i in range(2)]
        wall, cpu = (len(paths) / float(statistics.median(column)) for column in zip(*times, strict=True))
        rows.append({
            "side": side, "clips_per_s": wall, "clips_per_cpu_s": cpu, "over_pyav": float(statistics.median(over[0])),
            "cpu_over_pyav": float(statistics.median(over[1])),
        })  # fmt: skip
    return rows


def clips(folder: Path) -> list[str]:
    """Nine files of three seconds: noise at several scales that moves and flickers, H.264 in three sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (width, height) in enumerate([(320, 240), (640, 360), (1280, 720)] * 3):
        path = folder / f"{number}.mp4"
        paths.append(str(path))
        if not path.exists():
            _write(path, width, height, np.random.default_rng(number))
    return paths


def _write(path: Path, width: int, height: int, rng: np.random.Generator) -> None:
    scales = [rng.normal(128, 40, (height // n + 9, width // n + 9, 3)).repeat(n, 0).repeat(n, 1) for n in (4, 16, 64)]
    with av.open(path.with_suffix(".part"), "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=30, options={"crf": "23"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for i in range(90):
            layers = [np.roll(one, (i, 2 * i), (0, 1))[:height, :width] for one in scales]
            pixels = np.mean(layers, axis=0) + rng.normal(0, 4, (height, width, 3))
            frame = av.VideoFrame.from_ndarray(pixels.clip(0, 255).astype(np.uint8), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    path.with_suffix(".part").rename(path)


def _by_pyav(path: str) -> list[np.ndarray]:
    """The same frames, as they are kept, as arrays: by one thread, as far as the last of them."""
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        wanted = list(COLUMN.moments(stream.frames))
        made, reformatter = [], VideoReformatter()
        for index, frame in enumerate(container.decode(stream)):
            if index == wanted[len(made)]:
                scale = min(1.0, COLUMN.side / min(frame.height, frame.width))
                size = round(frame.width * scale), round(frame.height * scale)
                made.append(reformatter.reformat(frame, *size, "rgb24", threads=1).to_ndarray())
                if len(made) == len(wanted):
                    break
    return made
