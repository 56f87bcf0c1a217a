"""Video files, made by PyAV, and what a column makes of clips."""

import functools
import io
from fractions import Fraction

import av
import numpy as np
import tensorflow as tf

from tfloom.feature_specs.encoded import Encoded

LEVELS = tuple(range(30, 230, 20))
"""Grey levels of ten frames, far enough from each other to be told apart."""


def grey(level, height=32, width=48):
    """A frame, its left quarter white."""
    pixels = np.full((height, width, 3), level, np.uint8)
    pixels[:, : width // 4] = 255
    return pixels


@functools.cache
def video(levels=LEVELS, form="mp4", codec="libx264", height=32, width=48):
    """The content of a file of grey frames, 10 a second."""
    return of_frames([grey(level, height, width) for level in levels], form, codec)


def of_frames(frames, form="mp4", codec="libx264", times=None):
    """The content of a file of frames uint8 [H, W, 3]; times: when they are shown, in hundredths of a second."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=10)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        if times:
            stream.codec_context.time_base = Fraction(1, 100)
        for i, pixels in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            if times:
                frame.pts, frame.time_base = times[i], Fraction(1, 100)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return file.getvalue()


def turned(content):
    """An mp4 that is to be turned by a quarter, clockwise: the matrix of its track, as a telephone writes it."""
    at = content.index(b"tkhd") + 4 + 40
    matrix = b"".join(
        number.to_bytes(4, "big", signed=True) for number in (0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    )
    return content[:at] + matrix + content[at + 36 :]


def jpegs(levels, height=16, width=16):
    return [tf.io.encode_jpeg(np.full((height, width, 3), level, np.uint8)).numpy() for level in levels]


def decoded(pictures):
    return [tf.io.decode_jpeg(picture, dct_method="INTEGER_ACCURATE").numpy() for picture in pictures]


def levels_of(pictures):
    """The mean of each encoded picture in its right half."""
    return [float(np.mean(pixels[:, pixels.shape[1] // 2 :])) for pixels in decoded(pictures)]


def padded(clips):
    """string [B, N], as a batch of them is read."""
    return tf.ragged.constant(clips, ragged_rank=1, dtype=tf.string).to_tensor(b"")


def encoded(column, value):
    return Encoded({column.name: column}, {column.name: value}, {}, {}).feature(column.name)
