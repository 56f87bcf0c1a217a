"""Random changes to a picture or a clip while a model is trained on it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfloom.feature_specs.pictures import fitted

Share = Annotated[float, Field(gt=0, le=1)]
Ratio = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Strength = Annotated[float, Field(ge=0, lt=1)]


class Augmentation(BaseModel):
    """What is drawn anew for a picture each time that a model is trained on it; a clip has one draw for all its frames.

    Each draw is a function of the train spec's seed, the epoch and the row's place in it, and columns of one row draw
    the same: a picture and its mask are cropped alike.

    crop: the least and the greatest share of the picture's area that a random crop has, which is resized to the model's
      size; [0.08, 1] is what "Going deeper with convolutions" (Szegedy et al., 2014) took. Left out, what is evaluated.
    ratio: the least and the greatest width over height of a crop, [0.75, 1.333] where left out.
    flip: whether left and right change places in half of the draws.
    brightness: b, for a factor of all pixels within [1 - b, 1 + b].
    contrast: c, for a factor within [1 - c, 1 + c] of how far pixels are from the mean of their channel.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    crop: tuple[Share, Share] | None = None
    ratio: tuple[Ratio, Ratio] | None = None
    flip: bool = False
    brightness: Strength = 0.0
    contrast: Strength = 0.0

    @model_validator(mode="after")
    def _in_order(self) -> Augmentation:
        for name in ("crop", "ratio"):
            low, high = getattr(self, name) or (1, 1)
            if low > high:
                raise ValueError(f"{name} is [least, greatest]")
        if self.ratio and not self.crop:
            raise ValueError("has ratio without crop")
        return self

    def apply(self, pixels: Any, height: int, width: int, short_side: int | None, seed: Any) -> Any:
        """One row's pixels as a model is trained on them: float32 of the same rank, height x width, 0 to 255.

        pixels: [H, W, C], or a clip's frames [T, H, W, C], 0 to 255. short_side: see `fitted`. seed: int32 [2].
        """
        import tensorflow as tf

        crop, brightness, contrast = (tf.random.fold_in(seed, i) for i in range(3))
        if self.crop:
            x = fitted(self._window(pixels, crop), height, width)
        else:
            x = fitted(pixels, height, width, short_side)
        if self.flip:
            x = tf.where(self.flips(seed), x[..., ::-1, :], x)
        if self.brightness:
            x *= _factor(self.brightness, brightness)
        if self.contrast:
            mean = tf.reduce_mean(x, axis=list(range(x.shape.rank - 1)), keepdims=True)
            x = (x - mean) * _factor(self.contrast, contrast) + mean
        return tf.clip_by_value(x, 0.0, 255.0) if self.brightness or self.contrast else x

    def flips(self, seed: Any) -> Any:
        """Whether `apply` changes left and right for this seed: bool []."""
        import tensorflow as tf

        return tf.random.stateless_uniform([], tf.random.fold_in(seed, 3)) < 0.5 if self.flip else tf.constant(False)

    def _window(self, pixels: Any, seed: Any) -> Any:
        """A crop of the height and width, the whole where there is none of its area and ratio."""
        import tensorflow as tf

        begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
            tf.concat([tf.shape(pixels)[-3:-1], [1]], 0),
            tf.constant([[[0.0, 0.0, 1.0, 1.0]]]),
            seed,
            min_object_covered=0.0,
            aspect_ratio_range=self.ratio or (0.75, 1.333),
            area_range=self.crop,
        )
        return pixels[..., begin[0] : begin[0] + size[0], begin[1] : begin[1] + size[1], :]


def _factor(strength: float, seed: Any) -> Any:
    import tensorflow as tf

    return tf.random.stateless_uniform([], seed, 1 - strength, 1 + strength)
