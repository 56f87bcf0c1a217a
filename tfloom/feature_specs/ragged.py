"""Ragged tensors row by row: what belongs to a value, and what a row has already."""

from __future__ import annotations

from typing import Any


def beside(x: Any, of: Any) -> Any:
    """[values of x]: for each value what `of` has at the same place of the same row, 0 where it has less.

    x: ragged [B, None]. of: ragged numbers [B, None].
    """
    import tensorflow as tf

    row = x.value_rowids()
    place = tf.range(tf.size(row, tf.int64)) - tf.gather(x.row_starts(), row)
    # One more than there are, for what has nothing beside it.
    numbers = tf.concat([of.flat_values, tf.zeros([1], of.dtype)], axis=0)
    there = place < tf.gather(of.row_lengths(), row)
    return tf.gather(numbers, tf.where(there, tf.gather(of.row_starts(), row) + place, tf.size(numbers, tf.int64) - 1))


def once_a_row(x: Any) -> Any:
    """Strings or integers, ragged [B, None], without what the row had before."""
    import tensorflow as tf

    row, flat = x.value_rowids(), x.flat_values
    texts = flat if flat.dtype == tf.string else tf.strings.as_string(flat)
    _, which = tf.unique(tf.strings.join([tf.strings.as_string(row), texts], " "), tf.int64)
    count = tf.reduce_max(tf.concat([which, [-1]], axis=0)) + 1
    first = tf.math.unsorted_segment_min(tf.range(tf.size(which, tf.int64)), which, count)
    return tf.RaggedTensor.from_value_rowids(tf.gather(flat, first), tf.gather(row, first), x.nrows(), validate=False)
