"""`image`: an encoded picture, decoded and resized in the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from tfloom.feature_specs import storage
from tfloom.feature_specs.augmentation import Augmentation
from tfloom.feature_specs.column import Augmented, Batch, Column, ServedForm, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Image as ImageFeature
from tfloom.feature_specs.inputs import Dtype
from tfloom.feature_specs.pictures import Scale, decoded, fitted, grey, reason, scaled, thinned


class Image(Column):
    """A PNG, JPEG, GIF or BMP picture: float32 [B, height, width, channels].

    What is materialised, and what a client sends, is the encoded picture; the trainer and the export decode it by
    the same function. A row whose picture cannot be read or decoded is rejected.

    content: `bytes`, the encoded picture itself, or `path`, a file that preprocessing reads; a relative one starts at
      the folder of the data.
    height, width: of the picture that the model sees, in pixels, by bilinear resizing.
    short_side: what the shorter side is resized to, in pixels, the proportions kept, before height x width is cut out
      of the middle; left out, the picture is stretched, whatever its proportions were.
    channels: 3 for red, green and blue, 1 for grey.
    scale: `0_1`, `-1_1`, `none` (0 to 255), or `imagenet`: (x / 255 - mean) / standard deviation of each of the three
      channels, as the weights of torchvision and timm were trained.
    augmentation: random changes while a model is trained.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("bytes",)

    kind: Literal["image"] = "image"
    source: str | None = None
    height: Annotated[int, Field(ge=1)]
    width: Annotated[int, Field(ge=1)]
    channels: Literal[1, 3] = 3
    content: Literal["bytes", "path"] = "bytes"
    scale: Scale = "0_1"
    short_side: Annotated[int, Field(ge=1)] | None = None
    augmentation: Augmentation | None = None

    @model_validator(mode="after")
    def _fits(self) -> Image:
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ValueError(f"a short_side of at least {max(self.height, self.width)}, the picture's greater side")
        if self.scale == "imagenet" and self.channels != 3:
            raise ValueError("3 channels where scale is imagenet")
        return self

    def check(self, columns: Mapping[str, Column]) -> None:
        for other in columns.values():
            if isinstance(other, Image) and other.inputs() == self.inputs() and other.content != self.content:
                raise SpecError(
                    f"columns.{self.name}.content: columns.{other.name} reads {self.inputs()[0]!r} otherwise",
                    expected=f"{other.content!r}, or another source",
                    received=repr(self.content),
                )

    def chunk_rows(self) -> int | None:
        return 1_000 if self.reads_files else None

    @property
    def reads_files(self) -> bool:
        return self.content == "path"

    def needs_value(self, name: str) -> bool:
        return True

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        import tensorflow as tf

        pictures: list[bytes | None] = []
        reasons: dict[int, str] = {}
        for row, value in enumerate(values.to_pylist()):
            try:
                picture = storage.read(value.decode()) if value and self.reads_files else value
                if value:
                    decoded(picture)
                pictures.append(picture or None)
            except (OSError, ValueError, tf.errors.OpError) as error:
                pictures.append(None)
                reasons[row] = f"{self.inputs()[0]} is not a picture: {reason(error)}"
        return pa.array(pictures, pa.binary()), reasons

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("bytes")

    def transform(self, values: Values) -> Any:
        return values.ragged(*self.inputs()).to_tensor(shape=[None, 1])[:, 0]

    @property
    def augmented(self) -> Augmented:
        """Pixels, 0 to 255, not scaled yet: decoded in the input pipeline, beside the step of the model."""
        return Augmented("float32", (self.height, self.width, self.channels))

    def augment(self, value: Any, seed: Any) -> Any:
        changes = self.augmentation or Augmentation()

        def row(told: Any) -> Any:
            encoded, drawn = told
            return changes.apply(self._read(encoded), self.height, self.width, self.short_side, drawn)

        return self._each(row, (value, seed))

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> ImageFeature:
        x = batch.value(self.name)
        if x.dtype == "string":  # in training it is augmented already
            x = self._each(lambda one: fitted(self._read(one), self.height, self.width, self.short_side), x)
        return ImageFeature(scaled(x, self.scale))

    def served_forms(self) -> dict[str, ServedForm]:
        import tensorflow as tf

        def fit(pictures: Any) -> Any:
            return self._each(lambda one: fitted(one, self.height, self.width, self.short_side), pictures)

        def golden(value: Any) -> Any:
            return thinned(tf.cast(self._read(value[0]), tf.uint8)[None])

        return {"image_uint8": ServedForm("uint8", (None, None, self.channels), fit, golden)}

    def _each(self, row: Callable[[Any], Any], rows: Any) -> Any:
        import tensorflow as tf

        picture = tf.TensorSpec(self.augmented.shape, self.augmented.dtype)
        return tf.map_fn(row, rows, fn_output_signature=picture)

    def _read(self, encoded: Any) -> Any:
        pixels = decoded(encoded)
        return pixels if self.channels == 3 else grey(pixels)
