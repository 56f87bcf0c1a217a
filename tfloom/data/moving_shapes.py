"""Seeded clips of moving shapes that only the order of their frames tells apart."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np

DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}
"""The classes: what a frame adds to (row, column)."""

OPPOSITE = {"left": "right", "right": "left", "up": "down", "down": "up"}


def moving_shapes(pairs: int, frames: int = 8, size: int = 32, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Clips, uint8 [2 * pairs, frames, size, size, 3], and the direction in which the shape of each moves.

    Every second clip is the one before it played backwards, under the opposite label. A shape starts anywhere and
    leaves on one side to come in on the other, before a background of noise that stands still: so a frame has the same
    distribution whatever the label, and so has any set of frames without their order.
    """
    rng = np.random.default_rng(seed)
    clips, labels = [], []
    for _ in range(pairs):
        direction = str(rng.choice(list(DIRECTIONS)))
        clip = _clip(rng, np.array(DIRECTIONS[direction]) * rng.integers(2, 5), frames, size)
        clips += [clip, clip[::-1]]
        labels += [direction, OPPOSITE[direction]]
    return np.stack(clips), labels


def _clip(rng: np.random.Generator, velocity: np.ndarray, frames: int, size: int) -> np.ndarray:
    background = rng.integers(0, 96, [size, size, 3])
    shape, colour = _shape(rng, size), rng.integers(128, 256, 3)
    start = rng.integers(0, size, 2)
    made = []
    for t in range(frames):
        at = np.roll(shape, start + t * velocity, axis=(0, 1))[..., None]
        made.append(np.where(at, colour, background))
    return np.stack(made).astype(np.uint8)


def _shape(rng: np.random.Generator, size: int) -> np.ndarray:
    """A square, a disk or a cross: bool [size, size], about its middle."""
    y, x = np.abs(np.mgrid[:size, :size] - size // 2)
    radius = rng.integers(size // 8, size // 5 + 1)
    inside = np.maximum(x, y) <= radius
    return [inside, x**2 + y**2 <= radius**2, inside & (np.minimum(x, y) <= radius // 3)][rng.integers(3)]


def write_moving_shapes(folder: str | Path, pairs: int = 1000, frames: int = 8, size: int = 32, seed: int = 0) -> Path:
    """Write moving_shapes.parquet into `folder`: `pair`, `frames` (a list of PNG pictures) and `direction`.

    A clip and its reversal share the number of their pair, so that a split can keep the two together. Needs Pillow.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clips, labels = moving_shapes(pairs, frames, size, seed)
    table = pa.table({
        "pair": np.arange(len(clips)) // 2,
        "frames": pa.array([[_png(frame) for frame in clip] for clip in clips], pa.list_(pa.binary())),
        "direction": labels,
    })  # fmt: skip
    path = folder / "moving_shapes.parquet"
    pq.write_table(table, path, row_group_size=500)
    return path


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
