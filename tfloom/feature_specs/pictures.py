"""Pictures in TensorFlow: decoded, brought to the model's size, and scaled as the model sees them."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

# YAML reads 0_1 and -1_1 without quotation marks as whole numbers, 1 and -11.
Scale = Annotated[
    Literal["0_1", "-1_1", "imagenet", "none"],
    BeforeValidator(lambda said: {1: "0_1", -11: "-1_1"}.get(said, said) if isinstance(said, int) else said),
]
_IMAGENET_MEAN, _IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def decoded(encoded: Any) -> Any:
    """An encoded picture -> red, green and blue, uint8 [H, W, 3]."""
    import tensorflow as tf

    # decode_image knows a format by its first bytes, but not which of the two DCTs to take for a JPEG (the accurate one
    # is asked for because the other differs from every other decoder in most values), and no BMP that is grey or has
    # an alpha channel.
    pixels = tf.case(
        [
            (
                tf.strings.substr(encoded, 0, 3) == b"\xff\xd8\xff",
                lambda: tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE"),
            ),
            (tf.strings.substr(encoded, 0, 2) == b"BM", lambda: _three_channels(tf.io.decode_bmp(encoded))),
        ],
        default=lambda: tf.io.decode_image(encoded, channels=3, expand_animations=False),
    )
    pixels.set_shape([None, None, 3])
    return pixels


def _three_channels(pixels: Any) -> Any:
    import tensorflow as tf

    colours = pixels[..., :3]
    return tf.broadcast_to(colours, tf.concat([tf.shape(colours)[:2], [3]], 0))


def grey(pixels: Any) -> Any:
    """Luma of ITU-R 601 in whole numbers, so that grey stays what it is: uint8 [H, W, 3] -> int32 [H, W, 1]."""
    import tensorflow as tf

    luma = tf.reduce_sum(tf.cast(pixels, tf.int32) * [19595, 38470, 7471], axis=-1, keepdims=True)
    return tf.bitwise.right_shift(luma + 2**15, 16)


def fitted(pixels: Any, height: int, width: int, short_side: int | None = None, where: float = 0.5) -> Any:
    """Pixels [H, W, C] or [T, H, W, C] in the model's size: float32 of the same rank, by bilinear resizing.

    short_side: what the shorter side is resized to, the proportions kept, before height x width is cut out of the
    middle; without it the picture is stretched. where: along the longer side, from 0, the left or the top, to 1.
    """
    import tensorflow as tf

    if short_side is None:
        return tf.cast(tf.image.resize(pixels, [height, width]), tf.float32)  # of this size already: as it came
    size = tf.shape(pixels)[-3:-1]
    x = tf.image.resize(pixels, size * short_side // tf.reduce_min(size))
    room = tf.shape(x)[-3:-1] - [height, width]
    along = tf.cast(tf.cast(room, tf.float32) * where, tf.int32)
    top, left = tf.unstack(tf.where(size > tf.reduce_min(size), along, room // 2))
    x = x[..., top : top + height, left : left + width, :]
    return tf.ensure_shape(x, [*pixels.shape[:-3], height, width, pixels.shape[-1]])


def thinned(pixels: Any) -> Any:
    """Every n-th row and column of pixels [..., H, W, C], so that 32 to 64 are left: few enough to write down."""
    every = max(1, min(pixels.shape[-3:-1]) // 32)
    return pixels[..., ::every, ::every, :]


def scaled(x: Any, scale: Scale) -> Any:
    """Pixels [..., C], float32 of 0 to 255, as the model sees them."""
    if scale == "imagenet":
        return (x / 255.0 - _IMAGENET_MEAN) / _IMAGENET_DEVIATION
    return {"0_1": x / 255.0, "-1_1": x / 127.5 - 1.0, "none": x}[scale]


def reason(error: Exception) -> str:
    """What an error says in a line, without TensorFlow's names of its nodes and ops."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error), flags=re.DOTALL)
    return " ".join(text.split())[:200]
