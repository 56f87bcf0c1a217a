"""What the kinds whose value is a clip have in common: which of its moments are kept, which are seen, and how."""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

import pyarrow as pa
from pydantic import Field, model_validator

from tfloom.feature_specs.augmentation import Augmentation
from tfloom.feature_specs.column import Augmented, Batch, Column, ServedForm, Transformed, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.inputs import Dtype
from tfloom.feature_specs.pictures import Scale, fitted, reason, scaled, thinned

Size = Annotated[int, Field(ge=1, le=8192)]

_CHUNK_ROWS = 32
_WHEN = 4
"""Folded into a row's seed, beside the numbers that Augmentation takes."""


class ClipColumn(Column):
    """A column whose value is a clip: a row is a list of encoded pictures, sampled, decoded and resized in the model.

    A moment of a clip is one frame of a video, or the flow from some frames to the next.

    content: `path`, a video file that preprocessing reads; a relative one starts at the folder of the data, and
      `clip.mp4#t=2,4` is the part from 2 to 4 seconds. `bytes`, the content of such a file; or `frames`, a list of JPEG
      or PNG pictures of one size, materialised as they are.
    frames: the moments that the model sees, T.
    sampling: `segments`, one of each of T equally long runs of the clip, its middle one, while training any of them; or
      `dense`, T in a row, from the middle of the clip, while training from anywhere; a shorter clip begins again.
    stride: of dense sampling, every how many frames one is a moment.
    height, width: of what the model sees, in pixels, by bilinear resizing.
    short_side: what the shorter side is resized to, in pixels, the proportions kept, before height x width is cut out
      of the middle; left out, the picture is stretched, whatever its proportions were.
    kept_frames: how many moments of a clip are materialised, at most: of segments evenly spaced over the clip, of dense
      sampling those in its middle; left out, 4 times `frames`.
    kept_side: how many pixels the shorter side of what is materialised has, at most; left out, short_side, or a seventh
      more than the greater of height and width.
    quality: of the JPEGs that are materialised, 1 to 100.
    test_clips: how many samples are taken of a clip in evaluation and serving, whose predictions are averaged.
    test_crops: the same of parts of the picture: 1, its middle, or 3 along its longer side.
    augmentation: random changes while a model is trained, the same for all frames of a clip.
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
    scale: Scale
    test_clips: Annotated[int, Field(ge=1)] = 1
    test_crops: Literal[1, 3] = 1
    augmentation: Augmentation | None = None

    @model_validator(mode="after")
    def _fits(self) -> ClipColumn:
        if self.short_side is not None and self.short_side < max(self.height, self.width):
            raise ValueError(f"a short_side of at least {max(self.height, self.width)}, the picture's greater side")
        if self.test_crops > 1 and self.short_side is None:
            raise ValueError("a short_side where there are test_crops: without it the whole picture is seen")
        if self.kept_frames is not None and self.kept_frames < self.frames:
            raise ValueError(f"kept_frames of at least {self.frames}, the frames that the model sees")
        if self.stride > 1 and self.sampling != "dense":
            raise ValueError("dense sampling where there is a stride")
        return self

    # -- what it reads ------------------------------------------------------------------------------------------

    def check(self, columns: Mapping[str, Column]) -> None:
        for other in columns.values():
            made = other._ingested() if isinstance(other, ClipColumn) else None
            if self.inputs()[0] in other.inputs() and made != self._ingested():
                raise SpecError(
                    f"columns.{self.name}: columns.{other.name} makes something else of {self.inputs()[0]!r}",
                    expected="an input of its own, of which `inputs` may say the same `source`",
                    received=repr(self.inputs()[0]),
                )

    def _ingested(self) -> tuple[Any, ...]:
        """What `ingest` depends on."""
        if self.content == "frames":
            return (self.content, self.pictures_a_moment)
        return (self.kind, self.content, self.sampling, self.stride, self.kept, self.side, self.quality)

    @property
    def reads_files(self) -> bool:
        return self.content == "path"

    def needs_value(self, name: str) -> bool:
        return True

    def chunk_rows(self) -> int | None:
        return _CHUNK_ROWS if self.reads_files else None

    # -- ingest -----------------------------------------------------------------------------------------------------

    @property
    def kept(self) -> int:
        """How many moments of a clip are materialised, at most."""
        return self.kept_frames or 4 * self.frames

    @property
    def side(self) -> int:
        """How many pixels the shorter side of what is materialised has, at most."""
        return self.kept_side or self.short_side or 8 * max(self.height, self.width) // 7

    def moments(self, count: int) -> Sequence[int]:
        """Which of so many moments are kept, rising."""
        if self.sampling == "dense":
            every = range(0, count, self.stride)
            first = max(0, len(every) - self.kept) // 2
            return every[first : first + self.kept]
        kept = min(count, self.kept)
        return [(2 * i + 1) * count // (2 * kept) for i in range(kept)]

    def pictures(self, video: str | bytes) -> list[bytes]:
        """What is kept of a video file, each picture encoded. Raises OSError or ValueError with why it cannot be."""
        raise NotImplementedError  # a kind says it

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        make: Callable[[Any], list[bytes]]
        if self.content == "frames":
            make = self._checked
            if not pa.types.is_list(values.type):  # clips of one picture each
                values = pa.array([one and [one] for one in values.to_pylist()])
        elif pa.types.is_list(values.type):
            raise SpecError(f"columns.{self.name}.content: {self.inputs()[0]!r} holds lists", expected="'frames'",
                            received=repr(self.content))  # fmt: skip
        else:
            make = lambda video: self.pictures(video.decode() if self.content == "path" else video)
        reasons: dict[int, str] = {}
        clips: list[list[bytes] | None] = []
        for row, made in enumerate(_pool().map(functools.partial(_tried, make), values.to_pylist())):
            clips.append(made if isinstance(made, list) else None)
            if isinstance(made, str):
                reasons[row] = f"{self.inputs()[0]} is no clip: {made}"
        return pa.array(clips, pa.list_(pa.binary())), reasons

    def _checked(self, pictures: list[bytes]) -> list[bytes]:
        """The same pictures. Raises ValueError where the model could not decode them."""
        import tensorflow as tf

        if len(pictures) % self.pictures_a_moment:
            raise ValueError(f"has {len(pictures)} pictures, which is no multiple of {self.pictures_a_moment}")
        try:
            sizes = {tuple(_decoded(picture, 1).shape) for picture in pictures}
        except tf.errors.OpError as error:
            raise ValueError(reason(error)) from None
        if len(sizes) > 1:
            raise ValueError("has frames of " + " and ".join(f"{w} x {h}" for h, w, _ in sorted(sizes)) + " pixels")
        return pictures

    # -- transform ----------------------------------------------------------------------------------------------------

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("bytes", many=True)

    def transform(self, values: Values) -> Any:
        return values.ragged(*self.inputs())

    # -- into the model -----------------------------------------------------------------------------------------------

    @property
    def pictures_a_moment(self) -> int:
        """How many encoded pictures stand for one moment."""
        return 1

    @property
    def channels(self) -> int:
        """How many the model sees."""
        raise NotImplementedError  # a kind says it

    @property
    def augmented(self) -> Augmented:
        return Augmented("uint8", (self.frames, self.height, self.width, self.channels))

    @property
    def encoded_size(self) -> int:
        return self.test_clips * self.test_crops * super().encoded_size

    def augment(self, value: Any, seed: Any) -> Any:
        import tensorflow as tf

        clip = tf.TensorSpec(self.augmented.shape, tf.uint8)
        return tf.map_fn(lambda row: self._trained_on(*row), (value, seed), fn_output_signature=clip)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Clip:
        import tensorflow as tf

        value = batch.value(self.name)
        if value.dtype == "string":  # in training it is augmented already
            value = self._seen(value)
        views = value.shape[1] if value.shape.rank == 6 else 1
        pixels = tf.reshape(value, [-1, *self.augmented.shape])
        return Clip(scaled(tf.cast(pixels, tf.float32), self.scale), views)

    def served_forms(self) -> dict[str, ServedForm]:
        """`frames_uint8`, sampled and of the model's size, and `frames_jpeg`, sampled; `clip_uint8`, any clip."""
        import tensorflow as tf

        def every(value: Any) -> Any:
            return self._clip(self._moments(value[0]))

        def middle(value: Any) -> Any:
            moments = self._moments(value[0])
            return tf.reshape(tf.gather(moments, self._at(tf.shape(moments)[0], 0.5)), [1, -1])

        return {
            "frames_uint8": ServedForm(
                "uint8", self.augmented.shape, tf.identity, lambda value: self._seen(value)[:, 0]
            ),
            "clip_uint8": ServedForm(
                "uint8", (None, None, None, self.channels), self._seen, lambda value: thinned(every(value)[None])
            ),
            "frames_jpeg": ServedForm("string", (self.frames * self.pictures_a_moment,), tf.identity, middle),
        }

    def _trained_on(self, pictures: Any, seed: Any) -> Any:
        """A row as a model is trained on it: string [N], int32 [2] -> uint8 [T, height, width, C]."""
        import tensorflow as tf

        changes = self.augmentation or Augmentation()
        when = tf.random.stateless_uniform([self._draws], tf.random.fold_in(seed, _WHEN))
        moments = self._moments(pictures)
        clip = self._clip(tf.gather(moments, self._at(tf.shape(moments)[0], when)))
        x = _rounded(changes.apply(clip, self.height, self.width, self.short_side, seed))
        return self.mirrored(x, changes.flips(seed))

    def _seen(self, clips: Any) -> Any:
        """Rows as they are evaluated: string [B, N], or uint8 [B, N, H, W, C] -> uint8 [B, views, *augmented.shape]."""
        import tensorflow as tf

        views = tf.TensorSpec([self.test_clips * self.test_crops, *self.augmented.shape], tf.uint8)
        return tf.map_fn(self._views, clips, fn_output_signature=views)

    def _views(self, row: Any) -> Any:
        """[views, T, height, width, C] of a row, crops of a sample together."""
        import tensorflow as tf

        moments = self._moments(row) if row.dtype == "string" else row
        views = []
        for i in range(self.test_clips):
            clip = tf.gather(moments, self._at(tf.shape(moments)[0], (i + 0.5) / self.test_clips))
            clip = self._clip(clip) if row.dtype == "string" else clip
            for where in (0.5,) if self.test_crops == 1 else (0.0, 0.5, 1.0):
                views.append(_rounded(fitted(clip, self.height, self.width, self.short_side, where)))
        return tf.stack(views)

    def mirrored(self, clip: Any, flips: Any) -> Any:
        """What the values of a clip are where its pictures were mirrored, bool []."""
        return clip

    @property
    def _draws(self) -> int:
        """How many numbers say which moments are seen."""
        return self.frames if self.sampling == "segments" else 1

    def _moments(self, pictures: Any) -> Any:
        """The pictures of each moment that is kept: string [N], padded -> string [moments, pictures_a_moment]."""
        import tensorflow as tf

        return tf.reshape(tf.boolean_mask(pictures, pictures != ""), [-1, self.pictures_a_moment])

    def _at(self, count: Any, when: Any) -> Any:
        """Which of so many moments are seen, int32 [T]; when: draws from 0 to 1, or one for all.

        segments: Wang et al. 2016, "Temporal Segment Networks", arXiv:1608.00859, section 3.1. dense: Carreira and
        Zisserman 2017, "Quo Vadis, Action Recognition?", arXiv:1705.07750.
        """
        import tensorflow as tf

        step = tf.range(self.frames)
        if self.sampling == "segments":
            at = (tf.cast(step, tf.float32) + when) * tf.cast(count, tf.float32) / self.frames
            return tf.minimum(tf.cast(at, tf.int32), count - 1)
        starts = tf.maximum(count - self.frames + 1, 1)
        first = tf.minimum(tf.cast(when * tf.cast(starts, tf.float32), tf.int32), starts - 1)
        return (first + step) % count

    def _clip(self, pictures: Any) -> Any:
        """string [moments, pictures_a_moment] -> uint8 [moments, H, W, C], those of one side by side as channels."""
        import tensorflow as tf

        each = self.pictures_a_moment
        one = tf.TensorSpec([None, None, self.channels // each], tf.uint8)
        pixels = tf.map_fn(lambda x: _decoded(x, one.shape[-1]), tf.reshape(pictures, [-1]), fn_output_signature=one)
        if each == 1:
            return pixels
        height, width = tf.unstack(tf.shape(pixels)[1:3])
        return tf.transpose(tf.reshape(pixels, [-1, each, height, width]), [0, 2, 3, 1])


def _decoded(picture: Any, channels: int) -> Any:
    """A JPEG or a PNG -> uint8 [H, W, channels]."""
    import tensorflow as tf

    return tf.io.decode_jpeg(picture, channels=channels, dct_method="INTEGER_ACCURATE")


def _rounded(pixels: Any) -> Any:
    """float32 -> uint8: what a client may send in its place."""
    import tensorflow as tf

    return tf.cast(tf.round(pixels), tf.uint8)


def _tried(make: Callable[[Any], list[bytes]], value: Any) -> list[bytes] | str | None:
    """What is made of a value, or why nothing is; None of none."""
    try:
        return make(value) if value else None
    except SpecError:  # a package that is not there
        raise
    except (OSError, ValueError) as error:
        return " ".join(str(error).split())[:200] or type(error).__name__


@functools.cache
def _pool() -> concurrent.futures.Executor:
    """FFmpeg lets go of Python's lock while it decodes."""
    return concurrent.futures.ThreadPoolExecutor(os.cpu_count(), "clips")
