"""What a column's `encode` hands to a backbone: a closed set of typed features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Tensors are annotated Any: the language does not import TensorFlow.


@dataclass(frozen=True)
class Dense:
    """Numbers. values: float32 [B, D]."""

    values: Any


@dataclass(frozen=True)
class Categorical:
    """Ids of a closed range, any number a row.

    ids: int64 [B, T], right-padded with -1. weights: float32 [B, T], 0 where padded, or None for 1 each.
    num_buckets: ids are in [0, num_buckets).
    """

    ids: Any
    num_buckets: int
    weights: Any = None


@dataclass(frozen=True)
class Sequence:
    """Steps in order. values: float32 [B, T, D]; mask: bool [B, T], True where there is a step."""

    values: Any
    mask: Any


@dataclass(frozen=True)
class Image:
    """Pictures. values: float32 [B, H, W, C]."""

    values: Any


@dataclass(frozen=True)
class Clip:
    """Moving pictures.

    values: float32 [B * views, T, H, W, C]. views: of a row, which lie together: parts of it that are judged apart, and
    whose scores are averaged.
    """

    values: Any
    views: int = 1


Feature = Dense | Categorical | Sequence | Image | Clip
