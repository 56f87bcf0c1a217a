"""`image`: an encoded picture, decoded and resized in the model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field

from tfloom.feature_specs import storage
from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Image as ImageFeature
from tfloom.feature_specs.inputs import Dtype


class Image(Column):
    """A PNG, JPEG, GIF or BMP picture: float32 [B, height, width, channels].

    What is materialised, and what a client sends, is the encoded picture; the trainer and the export decode it by
    the same function. A row whose picture cannot be read or decoded is rejected.

    content: `bytes`, the encoded picture itself, or `path`, a file that preprocessing reads.
    height, width: of the picture that the model sees, in pixels; bilinear, whatever the proportions were.
    channels: 3 for red, green and blue, 1 for grey.
    scale: `0_1`, `-1_1` or `none` (0 to 255).
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("bytes",)

    kind: Literal["image"] = "image"
    source: str | None = None
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3] = 3
    content: Literal["bytes", "path"] = "bytes"
    scale: Literal["0_1", "-1_1", "none"] = "0_1"

    def check(self, columns: Mapping[str, Column]) -> None:
        for other in columns.values():
            if isinstance(other, Image) and other.inputs() == self.inputs() and other.content != self.content:
                raise SpecError(
                    f"columns.{self.name}.content: columns.{other.name} reads {self.inputs()[0]!r} otherwise",
                    expected=f"{other.content!r}, or another source",
                    received=repr(self.content),
                )

    def chunk_rows(self) -> int | None:
        return 1_000 if self.content == "path" else None

    def needs_value(self, name: str) -> bool:
        return True

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        import tensorflow as tf

        pictures: list[bytes | None] = []
        reasons: dict[int, str] = {}
        for row, value in enumerate(values.to_pylist()):
            try:
                picture = storage.read(value.decode()) if value and self.content == "path" else value
                if value:
                    _pixels(picture)
                pictures.append(picture or None)
            except (OSError, ValueError, tf.errors.OpError) as error:
                pictures.append(None)
                reasons[row] = f"{self.inputs()[0]} is not a picture: {_reason(error)}"
        return pa.array(pictures, pa.binary()), reasons

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("bytes")

    def transform(self, values: Values) -> Any:
        return values.ragged(*self.inputs()).to_tensor(shape=[None, 1])[:, 0]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> ImageFeature:
        import tensorflow as tf

        picture = tf.TensorSpec([self.height, self.width, self.channels], tf.float32)
        return ImageFeature(tf.map_fn(self._decode, batch.value(self.name), fn_output_signature=picture))

    def _decode(self, encoded: Any) -> Any:
        import tensorflow as tf

        pixels = _pixels(encoded)
        if self.channels == 1:
            pixels = _grey(pixels)
        x = tf.image.resize(tf.cast(pixels, tf.float32), [self.height, self.width])
        return {"0_1": x / 255.0, "-1_1": x / 127.5 - 1.0, "none": x}[self.scale]


def _pixels(encoded: Any) -> Any:
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


def _grey(pixels: Any) -> Any:
    """Luma of ITU-R 601 in whole numbers, so that grey stays what it is: uint8 [H, W, 3] -> int32 [H, W, 1]."""
    import tensorflow as tf

    luma = tf.reduce_sum(tf.cast(pixels, tf.int32) * [19595, 38470, 7471], axis=-1, keepdims=True)
    return tf.bitwise.right_shift(luma + 2**15, 16)


def _reason(error: Exception) -> str:
    """What an error says in a line, without TensorFlow's names of its nodes and ops."""
    text = re.sub(r"\{\{.*?\}\}|\[Op:.*", "", str(error), flags=re.DOTALL)
    return " ".join(text.split())[:200]
