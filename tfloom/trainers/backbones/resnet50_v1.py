"""`resnet50_v1`: the ResNet-50 of keras.applications, frames that know nothing of each other."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import keras
from pydantic import Field

from tfloom.feature_specs import storage
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.video_backbone import Average, ClipBackbone, OverFrames


class Resnet50V1(ClipBackbone):
    """`tsn` on the ResNet-50 that keras.applications has weights for: biases, stride 2 on the first 1 x 1.

    It reads clips of `scale: none`, of which it takes the channels' means itself.

    weights: `imagenet`, which Keras downloads, or a file of its own, .weights.h5 or .h5, without the network's top.
    """

    name: Literal["resnet50_v1"] = "resnet50_v1"
    width: Annotated[float, Field(ge=1, le=1)] = 1.0

    def parts(self, spec: FeatureSpec) -> dict[str, tuple[Column, ...]]:
        chosen = super().parts(spec)
        (column,) = chosen["clip"]
        if column.scale != "none":  # type: ignore[attr-defined]
            raise SpecError(f"columns.{column.name}.scale: the backbone {self.name} scales its clips itself",
                            expected="'none'", received=repr(column.scale))  # type: ignore[attr-defined]  # fmt: skip
        return chosen

    def over_clips(self, frames: int, units: int) -> keras.Layer:
        return OverFrames(frames, ResNet50V1(), Average(self.dropout, units))

    def files(self) -> dict[str, str]:
        return {} if self.weights == "imagenet" else super().files()

    def read_saved(self, layer: keras.Layer) -> None:
        network = layer.over_clips.network.network
        if self.weights == "imagenet":
            network.set_weights(keras.applications.ResNet50(include_top=False, weights="imagenet").get_weights())
        elif self.weights is not None:
            try:
                network.load_weights(storage.fetch(self.weights))
            except (OSError, ValueError, KeyError) as error:
                raise SpecError(
                    "backbone.weights: cannot be read into keras.applications.ResNet50(include_top=False)",
                    expected="a file that its save_weights wrote, .weights.h5 or .h5",
                    received=f"{self.weights}: {str(error).strip().splitlines()[0]}",
                ) from None


class ResNet50V1(Composite):
    """Frames float32 [N, H, W, 3], red, green and blue in 0 to 255 -> float32 [N, ceil(H / 32), ceil(W / 32), 2048]."""

    def __init__(self) -> None:
        super().__init__(name="resnet50_v1")
        self.network = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(None, None, 3))

    def call(self, x: Any, training: bool = False) -> Any:
        return self.network(keras.applications.resnet.preprocess_input(x), training=training)
