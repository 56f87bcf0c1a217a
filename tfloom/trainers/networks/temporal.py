"""Operations along time on frames that are folded into the batch: [B * T, H, W, C], the frames of a clip together.

They are written as slices and multiply-adds: channels stay last, nothing is transposed.
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def unfold(x: Any, frames: int) -> Any:
    """[B * T, ...] -> [B, T, ...]."""
    return tf.reshape(x, [-1, frames, *x.shape[1:]])


def fold(x: Any) -> Any:
    """[B, T, ...] -> [B * T, ...]."""
    return tf.reshape(x, [-1, *x.shape[2:]])


def moved(x: Any, by: int) -> Any:
    """[B, T, ...] -> the same shape, at t what x has at t - by; zeros where that lies outside."""
    if not by:
        return x
    kept = x[:, :-by] if by > 0 else x[:, -by:]
    around = [max(by, 0), max(-by, 0)]
    return tf.pad(kept, [[0, 0], around] + [[0, 0]] * (len(x.shape) - 2))


def difference(y: Any, x: Any, frames: int, by: int = 1) -> Any:
    """y of another frame less x of this one, [B * T, ...]: at t, y[t + by] - x[t]; zeros where t + by lies outside."""
    return fold(moved(unfold(y, frames) - moved(unfold(x, frames), by), -by))


def shift(x: Any, frames: int, share: int = 8, both: bool = True) -> Any:
    """The temporal shift of TSM (arXiv:1811.08383, section 3): [B * T, H, W, C] -> the same shape.

    The first C / share channels come from t + 1, as many after them from t - 1; the others stay. Without `both` the
    first come from t - 1 and all others stay, so that no frame sees a later one.
    """

    @tf.custom_gradient
    def shifted(x: Any) -> Any:
        # The gradient is the shift the other way; that of the slices would fill the whole of x for each of them.
        return _shifted(x, frames, share, both, 1), lambda upstream: _shifted(upstream, frames, share, both, -1)

    return shifted(x)


def _shifted(x: Any, frames: int, share: int, both: bool, by: int) -> Any:
    size, clip = x.shape[-1] // share, unfold(x, frames)
    ways = (-by, by) if both else (by,)
    parts = [moved(clip[..., i * size : (i + 1) * size], way) for i, way in enumerate(ways)]
    return fold(tf.concat([*parts, clip[..., len(ways) * size :]], axis=-1))


def temporal_conv(x: Any, kernel: Any, frames: int) -> Any:
    """A convolution over time of each channel by itself, zero-padded: [B * T, H, W, C] -> the same shape.

    kernel: [K, C], or [B, K, C] for one of each clip's own; K is odd, and kernel[0] multiplies t - (K - 1) / 2.
    """
    clip, around = unfold(x, frames), kernel.shape[-2] // 2
    own = len(kernel.shape) == 3
    with tf.name_scope("temporal_conv"):  # by which `macs` knows these multiplications
        terms = [
            moved(clip, around - k) * (kernel[:, k, None, None, None, :] if own else kernel[k])
            for k in range(kernel.shape[-2])
        ]
        return fold(tf.add_n(terms))
