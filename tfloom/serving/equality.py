"""When two tensors say the same: bit for bit, or to a tolerance where floats were summed in another order."""

from __future__ import annotations

from typing import Any

import numpy as np

TOLERANCE = 1e-6
"""Relative to the larger of the two, and again absolutely: a sum that nearly cancels has no relative accuracy."""


def differing(expected: np.ndarray, received: np.ndarray, *, exact: bool = True) -> np.ndarray:
    """bool, of the shape of the two: which elements differ. NaN is the same as a NaN, of the same bits where exact.

    exact: compare floats by their bits, so that -0.0 differs from 0.0; without it to TOLERANCE. Integers, booleans and
      strings are compared exactly either way.

    The two have one shape and one dtype.
    """
    if received.dtype.kind != "f":
        return np.asarray(expected != received, bool)
    if exact:
        bits = np.dtype(f"u{received.dtype.itemsize}")
        return np.asarray(np.ascontiguousarray(expected).view(bits) != np.ascontiguousarray(received).view(bits))
    with np.errstate(invalid="ignore"):  # inf - inf
        larger = np.maximum(np.abs(expected), np.abs(received))
        close = np.isfinite(larger) & (np.abs(expected - received) <= TOLERANCE * larger + TOLERANCE)
    return ~(close | (expected == received) | (np.isnan(expected) & np.isnan(received)))


PADDING: dict[str, Any] = {"i": -1, "f": np.nan, "O": b""}
"""What a row of fewer values than others is padded with, by the kind of their dtype."""


def same_width(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Ids int64 [B, T] or bytes [B, N] of two paddings -> the same padded to one width; all else as it is."""
    if a.dtype != b.dtype or a.dtype.kind not in "iO" or a.ndim != 2 or b.ndim != 2 or a.shape[1] == b.shape[1]:
        return a, b
    width = max(a.shape[1], b.shape[1])
    return _padded(a, width), _padded(b, width)


def _padded(values: np.ndarray, width: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, width - values.shape[1])), constant_values=PADDING[values.dtype.kind])
