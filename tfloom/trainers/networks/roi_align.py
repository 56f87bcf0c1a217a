"""RoIAlign (arXiv:1703.06870, section 3): what maps hold in a box, wherever its sides lie."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

SAMPLES = 2
"""To each side of a cell, as the paper has it: four in a cell, which are averaged."""


def roi_align(maps: Any, boxes: Any, size: int = 7) -> Any:
    """Maps [N, h, w, C], boxes float32 [N, R, 4] -> float32 [N, R, size, size, C].

    boxes: top, left, bottom and right in 0 to 1, the edges of the picture; a place of a map is a square, whose value is
    that of its middle, and holds on from there to the picture's edge.
    """
    count, regions = tf.shape(boxes)[0], boxes.shape[1]
    height, width, channels = maps.shape[1:]
    # The op takes corners as the middles of the outer places, and knows nothing outside of them: an edge is put around.
    padded = tf.pad(tf.cast(maps, tf.float32), [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    sides = tf.constant([height, width], tf.float32)
    first, last = boxes[..., :2] * sides, boxes[..., 2:] * sides
    steps = (last - first) / (size * SAMPLES)
    corners = tf.concat([first + 0.5 * steps, last - 0.5 * steps], axis=-1) + 0.5
    corners = tf.reshape(corners / tf.tile(sides + 1, [2]), [-1, 4])
    of = tf.repeat(tf.range(count), regions)
    taken = tf.image.crop_and_resize(padded, corners, of, [size * SAMPLES] * 2)
    cells = tf.reshape(taken, [-1, regions, size, SAMPLES, size, SAMPLES, channels])
    return tf.reduce_mean(cells, axis=(3, 5))
