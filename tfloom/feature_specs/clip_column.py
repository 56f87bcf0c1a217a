"""What the kinds whose value is a clip have in common: which frames are kept, sampled and seen, and how."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeVar

import numpy as np
import pyarrow as pa
from pydantic import Field, model_validator

from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.inputs import Dtype

One = TypeVar("One")
Size = Annotated[int, Field(ge=1, le=8192)]

_CHUNK_ROWS = 64
_CENTRE = 0.5

_HOW = 7
"""Numbers from 0 to 1 that say how a clip is seen: two of the size of a crop, two of its place, three for `augmented`.

Before them stand those that say when: one of each segment, or of where a dense clip begins.
"""


class ClipColumn(Column):
    """A column whose value is a clip: a row is a list of encoded pictures, sampled, decoded and resized in the model.

    A moment of a clip is one frame of a video, or the flow from some frames to the next.

    content: `path`, a video file that preprocessing reads, of which `clip.mp4#t=2,4` is the part from 2 to 4 seconds;
      `bytes`, the content of such a file; or `frames`, a list of JPEG or PNG pictures, as they are materialised.
    frames: the moments that the model sees, T.
    sampling: `segments`, one of each of T equally long runs of the clip, its middle one, while training any of them; or
      `dense`, T in a row, from the middle of the clip, while training from anywhere; a shorter clip begins again.
    stride: of dense sampling, every how many frames one is a moment.
    height, width: of what the model sees, in pixels.
    short_side: the picture is resized so that its shorter side has so many pixels, and height x width of its middle is
      seen; left out, all of it is seen, stretched.
    kept_frames: how many moments of a clip are materialised, at most: of segments evenly spaced over the clip, of dense
      sampling those in its middle; left out, 4 times `frames`.
    kept_side: how many pixels the shorter side of what is materialised has, at most; left out, short_side, or an eighth
      more than is seen.
    quality: of the JPEGs that are materialised, 1 to 100.
    crop_scales: while training, a part of the picture is seen whose sides are drawn from these shares of its shorter
      side, no more than one step apart, and resized; empty, what is seen otherwise (Wang et al. 2016).
    flip: whether half of all clips are mirrored, left to right, while training; not where left and right matter.
    test_clips: in evaluation and serving, so many samples are taken of a clip, and their predictions averaged.
    test_crops: the same of parts of the picture: 1, the middle, or 3 along its longer side.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("bytes",)
    reads_many: ClassVar[bool] = True
    makes_many: ClassVar[bool] = True

    source: str | None = None
    content: Literal["path", "bytes", "frames"] = "path"
    frames: Annotated[int, Field(ge=1)]
    sampling: Literal["segments", "dense"] = "segments"
    stride: Annotated[int, Field(ge=1)] = 1
    height: Size
    width: Size
    short_side: Size | None = None
    kept_frames: Annotated[int, Field(ge=1)] | None = None
    kept_side: Size | None = None
    quality: Annotated[int, Field(ge=1, le=100)] = 90
    crop_scales: tuple[Annotated[float, Field(gt=0, le=1)], ...] = (1.0, 0.875, 0.75, 0.66)
    flip: bool = False
    test_clips: Annotated[int, Field(ge=1)] = 1
    test_crops: Literal[1, 3] = 1

    @model_validator(mode="after")
    def _fits(self) -> ClipColumn:
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ValueError("has a short_side that is less than its height or width")
        if self.test_crops > 1 and self.short_side is None:
            raise ValueError("has test_crops without a short_side: the whole picture is seen")
        if self.kept_frames is not None and self.kept_frames < self.frames:
            raise ValueError("has kept_frames that are fewer than frames")
        if self.stride > 1 and self.sampling != "dense":
            raise ValueError("has a stride, which is of dense sampling")
        return self

    # -- what it reads ------------------------------------------------------------------------------------------

    def check(self, columns: Mapping[str, Column]) -> None:
        for other in columns.values():
            made = other._ingested() if isinstance(other, ClipColumn) else None
            if self.inputs()[0] in other.inputs() and made != self._ingested():
                raise SpecError(
                    f"columns.{self.name}: columns.{other.name} makes something else of {self.inputs()[0]!r}",
                    expected="an input of its own, which `inputs` may say to be of the same `source`",
                    received=repr(self.inputs()[0]),
                )

    def needs_value(self, name: str) -> bool:
        return True

    def chunk_rows(self) -> int | None:
        return None if self.content == "frames" else _CHUNK_ROWS

    # -- ingest -----------------------------------------------------------------------------------------------------

    @property
    def pictures_a_place(self) -> int:
        """How many encoded pictures stand for one moment."""
        return 1

    @property
    def channels(self) -> int:
        """How many the model sees."""
        raise NotImplementedError  # a kind says it

    @property
    def places_kept(self) -> int:
        """How many moments of a clip are materialised, at most."""
        return self.kept_frames or 4 * self.frames

    @property
    def side(self) -> int:
        """How long the shorter side of what is materialised may be, in pixels."""
        return self.kept_side or max(self.short_side or 0, 8 * max(self.height, self.width) // 7)

    def encoded(self, video: str | bytes) -> list[bytes]:
        """The pictures that are kept of a video, each encoded. Raises OSError or ValueError with why it cannot be."""
        raise NotImplementedError  # a kind says it

    def kept(self, count: int) -> list[int]:
        """Which of so many moments are kept: evenly spaced, or every stride-th from the middle of the clip."""
        if self.sampling == "dense":
            of = (count - 1) // self.stride + 1
            first = max(0, of - self.places_kept) // 2
            return [self.stride * i for i in range(first, min(of, first + self.places_kept))]
        if count <= self.places_kept:
            return list(range(count))
        return [int((i + 0.5) * count / self.places_kept) for i in range(self.places_kept)]

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        make: Callable[[Any], list[bytes]]
        if self.content == "frames":
            make = self._checked
            values = values if pa.types.is_list(values.type) else pa.array([v and [v] for v in values.to_pylist()])
        elif pa.types.is_list(values.type):
            raise SpecError(f"columns.{self.name}.content: {self.inputs()[0]!r} holds lists", expected="'frames'",
                            received=repr(self.content))  # fmt: skip
        else:
            make = lambda video: self.encoded(video.decode() if self.content == "path" else video)
        made = _pool().map(functools.partial(_tried, make), values.to_pylist())
        rows, told = zip(*made, strict=True) if len(values) else ((), ())
        reasons = {row: f"{self.inputs()[0]} is no clip: {why}" for row, why in enumerate(told) if why}
        return pa.array(rows, pa.list_(pa.binary())), reasons

    def _checked(self, pictures: list[bytes]) -> list[bytes]:
        """Pictures that the model can decode. Raises ValueError."""
        import tensorflow as tf

        whole = len(pictures) and len(pictures) % self.pictures_a_place == 0
        if not whole:
            raise ValueError(f"{len(pictures)} pictures are no multiple of {self.pictures_a_place}")
        try:
            for picture in pictures:
                _decoded(picture, 1)
        except tf.errors.OpError as error:
            raise ValueError(error.message.split("\n")[0][:200]) from None
        return pictures

    def _ingested(self) -> tuple[Any, ...]:
        """What `ingest` depends on."""
        return (self.kind, self.content, self.sampling, self.stride, self.places_kept, self.side, self.quality)

    # -- transform ----------------------------------------------------------------------------------------------------

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("bytes", many=True)

    def transform(self, values: Values) -> Any:
        return values.ragged(*self.inputs())

    # -- into the model -----------------------------------------------------------------------------------------------

    def augment(self, value: Any, seed: Any) -> Any:
        """Pictures string [B, N] and seeds int32 [B, 2] -> what is trained on, uint8 [B, T, height, width, C]."""
        import tensorflow as tf

        numbers = tf.TensorSpec([1, self._moments + _HOW], tf.float32)
        drawn = tf.map_fn(lambda s: tf.random.stateless_uniform(numbers.shape, s), seed, fn_output_signature=numbers)
        return self._pixels(value, drawn, training=True)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Clip:
        import tensorflow as tf

        value, views = batch.value(self.name), 1
        if value.dtype == tf.string:
            views = self.test_clips * self.test_crops
            value = self._pixels(value, tf.constant([self._views()], tf.float32), training=False)
        return Clip(self.normalised(tf.cast(value, tf.float32)), views)

    def normalised(self, pixels: Any) -> Any:
        """float32, 0 to 255 -> what the model sees."""
        raise NotImplementedError  # a kind says it

    def augmented(self, pixels: Any, drawn: Any) -> Any:
        """What training makes of a frame, float32 [height, width, C], by three numbers, 0 to 1, drawn for its clip."""
        return pixels

    @property
    def _moments(self) -> int:
        return self.frames if self.sampling == "segments" else 1

    def _views(self) -> list[list[float]]:
        """In place of random numbers, those of each view of a row: crops of the first clip, of the second, ..."""
        ends = (_CENTRE,) if self.test_crops == 1 else (0.0, _CENTRE, 1.0)
        return [
            [(clip + _CENTRE) / self.test_clips] * self._moments + [0.0, 0.0, where, where, 1.0, _CENTRE, _CENTRE]
            for clip in range(self.test_clips)
            for where in ends
        ]

    def _pixels(self, value: Any, views: Any, training: bool) -> Any:
        """Pictures string [B, N], numbers float32 [B or 1, V, R] -> uint8 [B * V, T, height, width, C].

        Every frame is decoded and resized by itself: what a row becomes does not depend on the others.
        """
        import tensorflow as tf

        rows, each = tf.shape(value)[0], self.pictures_a_place
        views = tf.broadcast_to(views, [rows, *views.shape[1:]])
        when, how = views[..., :-_HOW], views[..., -_HOW:]
        count = tf.reduce_sum(tf.cast(value != "", tf.int32), axis=1) // each
        places = self._sampled(count[:, None, None], when)
        pictures = tf.reshape(each * places[..., None] + tf.range(each), [rows, views.shape[1] * self.frames * each])
        frames = tf.map_fn(
            lambda of: self._frame(of[0], of[1], training),
            (
                tf.reshape(tf.gather(value, pictures, batch_dims=1), [-1, each]),
                tf.repeat(tf.reshape(how, [-1, _HOW]), self.frames, axis=0),
            ),
            fn_output_signature=tf.TensorSpec([self.height, self.width, self.channels], tf.uint8),
        )
        return tf.reshape(frames, [-1, self.frames, self.height, self.width, self.channels])

    def _sampled(self, count: Any, when: Any) -> Any:
        """Which of `count` places are seen, int32 [..., T]; when: float32 [..., T], or [..., 1] of dense sampling.

        segments: one of each of T runs of the clip (Wang et al. 2016, "Temporal Segment Networks", arXiv:1608.00859).
        dense: T in a row (Carreira and Zisserman 2017, "Quo Vadis", arXiv:1705.07750); a shorter clip begins again.
        """
        import tensorflow as tf

        step = tf.range(self.frames)
        if self.sampling == "segments":
            at = (tf.cast(step, tf.float32) + when) * tf.cast(count, tf.float32) / self.frames
            return tf.minimum(tf.cast(at, tf.int32), count - 1)
        starts = tf.maximum(count - self.frames + 1, 1)
        first = tf.minimum(tf.cast(when * tf.cast(starts, tf.float32), tf.int32), starts - 1)
        return (first + step) % tf.maximum(count, 1)

    def _frame(self, pictures: Any, how: Any, training: bool) -> Any:
        """The pictures of a place, string [n], and numbers float32 [7] -> uint8 [height, width, C]."""
        import tensorflow as tf

        each = self.pictures_a_place
        decoded = [_decoded(pictures[i], self.channels // each) for i in range(each)]
        pixels = decoded[0] if each == 1 else tf.concat(decoded, axis=-1)
        sides = tf.cast(tf.shape(pixels)[:2], tf.float32)
        seen = self._seen(sides, how[:2], training)
        scale = tf.constant([self.height, self.width], tf.float32) / seen
        resized = tf.raw_ops.ScaleAndTranslate(  # tf.image.resize with antialias, of a part of the picture
            images=pixels[None],
            size=[self.height, self.width],
            scale=scale,
            translation=-self._corner(sides - seen, how[2:4], training) * scale,
            kernel_type="triangle",
            antialias=True,
        )[0]
        if training:
            resized = self.augmented(resized, how[4:])
        return tf.cast(tf.clip_by_value(tf.round(resized), 0.0, 255.0), tf.uint8)

    def _seen(self, sides: Any, drawn: Any, training: bool) -> Any:
        """How much of a picture is seen, float32 [2], of its sides [2]."""
        import tensorflow as tf

        whole = sides if self.short_side is None else tf.reduce_min(sides)
        size = np.array([self.height, self.width], np.float32)
        if training and self.crop_scales:
            first = tf.cast(drawn[0] * len(self.crop_scales), tf.int32)
            other = first + tf.cast(drawn[1] * 3, tf.int32) - 1  # one step apart at most: it distorts what is seen
            which = tf.clip_by_value(tf.stack([first, other]), 0, len(self.crop_scales) - 1)
            part = tf.gather(tf.constant(self.crop_scales, tf.float32), which)
            return part * whole * (1.0 if self.short_side is None else size / size.max())
        return whole * (1.0 if self.short_side is None else size / self.short_side)

    def _corner(self, room: Any, where: Any, training: bool) -> Any:
        """Where what is seen begins, float32 [2], of the room [2] that it leaves."""
        import tensorflow as tf

        if training and self.crop_scales:
            return room * where
        along = tf.cast(room == tf.reduce_max(room), tf.float32)  # crops lie side by side along the longer side
        return room * (along * where + (1.0 - along) * _CENTRE)


def _decoded(picture: Any, channels: int) -> Any:
    """A JPEG or a PNG -> uint8 [H, W, channels]."""
    import tensorflow as tf

    return tf.io.decode_jpeg(picture, channels=channels, dct_method="INTEGER_ACCURATE")


def _tried(make: Callable[[Any], list[bytes]], value: Any) -> tuple[list[bytes] | None, str | None]:
    try:
        return (make(value) if value else None), None
    except (OSError, ValueError) as error:
        if isinstance(error, SpecError):
            raise
        return None, " ".join(str(error).split())[:200]


@functools.cache
def _pool() -> concurrent.futures.Executor:
    """FFmpeg lets go of Python's lock while it decodes."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "clips")
