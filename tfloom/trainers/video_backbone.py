"""What the backbones over clips share: frames through a 2D network, with modules along time, and a consensus."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import keras
import tensorflow as tf
from pydantic import Field

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import pretrained
from tfloom.trainers.backbone import Backbone, Features
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.networks.mobilenet_v2 import MobileNetV2, divisible
from tfloom.trainers.networks.modules import Modules
from tfloom.trainers.networks.resnet import ResNet
from tfloom.trainers.networks.temporal import fold, unfold


class ClipBackbone(Backbone):
    """A network over clips. A family derives from it, or from `VideoBackbone`, one file each.

    It reads the group `clip` where the spec has one, else every column: one column of clips.

    width: the share of the network's channels, in multiples of 8. dropout: the share of units dropped before the last
      layer. partial_bn: batch normalization learns in the first layer alone, the others keep their statistics; for few
      clips and weights from elsewhere. weights: a file of safetensors that the network starts from, of torchvision,
      timm, mmaction2 or the TSM family.
    """

    accepts = {"clip": (Clip,)}

    frames_in_step: ClassVar[int] = 1
    """The frames that the network takes together: a clip has a multiple of them."""

    names_of_modules: ClassVar[tuple[pretrained.Names, ...]] = ({},)
    """What a file of `weights` calls a family's modules, beside the names of a plain network: for each kind of file."""

    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.5
    partial_bn: bool = False
    weights: str | None = None

    def parts(self, spec: FeatureSpec) -> dict[str, tuple[Column, ...]]:
        chosen = super().parts(spec)
        for part, columns in chosen.items():
            if self.accepts[part] == (Clip,) and len(columns) > 1:
                raise SpecError(f"groups: the backbone {self.name} reads one column of clips",
                                expected=f"a group {part!r} with one column in it",
                                received=", ".join(column.name for column in columns))  # fmt: skip
        (column,) = chosen["clip"]
        if frames_of(column) % self.frames_in_step:
            raise SpecError(f"columns.{column.name}.frames: the backbone {self.name} takes {self.frames_in_step} "
                            "frames together", expected=f"a multiple of {self.frames_in_step}",
                            received=f"{frames_of(column)}")  # fmt: skip
        return chosen

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        (column,) = parts["clip"]
        made = VideoLayer(self.name, self.over_clips(frames_of(column), units))
        if self.partial_bn:
            keep_statistics(made)
        return made

    def files(self) -> dict[str, str]:
        return {} if self.weights is None else {"weights": self.weights}

    def read_saved(self, layer: keras.Layer) -> None:
        if self.weights is not None:
            pretrained.read(self.weights, layer, self.names_of_modules)

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        """The layer from clips float32 [B, frames, H, W, C] to [B, units]."""
        raise NotImplementedError


class VideoBackbone(ClipBackbone):
    """A network over frames with the modules of a family in it.

    network: `resnet50`; `resnet18` and `mobilenet_v2` are smaller.
    """

    network: Literal["resnet50", "resnet18", "mobilenet_v2"] = "resnet50"

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        return OverFrames(frames, self.net(self.modules(frames)), self.consensus(frames, units))

    def net(self, modules: Modules) -> Any:
        """The layer from frames [N, H, W, C] to [N, h, w, features], with its `features`."""
        if self.network == "mobilenet_v2":
            return MobileNetV2(self.width, modules)
        return ResNet(18 if self.network == "resnet18" else 50, divisible(64 * self.width), modules)

    def modules(self, frames: int) -> Modules:
        """What the family puts into the network's blocks."""
        return Modules(frames)

    def consensus(self, frames: int, units: int) -> keras.Layer:
        """The layer from features of frames [B, T, F] to [B, units]."""
        return Average(self.dropout, units)


class VideoLayer(keras.Layer):
    """Features -> float32 [B, units]: what the layer over clips says of each view of a row, and their mean."""

    def __init__(self, name: str, over_clips: keras.Layer) -> None:
        super().__init__(name=name)
        self.over_clips = over_clips

    def call(self, features: Features, training: bool = False) -> Any:
        (clip,) = features["clip"]
        x, views = clip.values, clip.views  # type: ignore[union-attr]
        if not self.over_clips.built:
            with tf.init_scope():  # within a graph Keras takes several times as long to make a variable
                self.over_clips(tf.zeros([1, *x.shape[1:]]))
        return over_views(self.over_clips(x, training=training), views)


class OverFrames(Composite):
    """float32 [B, T, H, W, C] -> [B, units]: each frame through the network, then what the consensus makes of all.

    frames: how many of a clip the network gives out, T or fewer.
    """

    def __init__(self, frames: int, network: keras.Layer, consensus: keras.Layer) -> None:
        super().__init__(name="over_frames")
        self.frames, self.network, self.consensus = frames, network, consensus

    def call(self, x: Any, training: bool = False) -> Any:
        x = self.network(fold(x), training=training)
        pooled = unfold(tf.reduce_mean(x, axis=(1, 2)), self.frames)
        return self.consensus(pooled, training=training)


class Average(Composite):
    """A class score for each frame, and their mean (TSN, arXiv:1608.00859): float32 [B, T, F] -> [B, units]."""

    def __init__(self, dropout: float, units: int) -> None:
        super().__init__(name="consensus")
        self.dropout = keras.layers.Dropout(dropout) if dropout else None
        start = keras.initializers.RandomNormal(stddev=0.001)
        self.dense = keras.layers.Dense(units, kernel_initializer=start, name="dense")

    def call(self, x: Any, training: bool = False) -> Any:
        if self.dropout is not None:
            x = self.dropout(x, training=training)
        return tf.reduce_mean(self.dense(x), axis=1)


def frames_of(column: Column) -> int:
    """T of a column of clips."""
    frames: int = column.frames  # type: ignore[attr-defined]  # every kind of clip says how many
    return frames


def over_views(outputs: Any, views: int) -> Any:
    """[B * views, units] -> the mean of the views of a row, [B, units]."""
    return outputs if views == 1 else tf.reduce_mean(tf.reshape(outputs, [-1, views, outputs.shape[-1]]), axis=1)


def keep_statistics(layer: keras.Layer) -> None:
    """Let batch normalization learn in the first layer alone (TSN, section 3.3.3)."""
    norms = [one for one in layer._flatten_layers() if isinstance(one, keras.layers.BatchNormalization)]
    for one in norms[1:]:
        one.trainable = False
