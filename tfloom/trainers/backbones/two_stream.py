"""`two_stream`: what frames look like and how they move, each judged by a network of its own (arXiv:1406.2199)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

import keras
import numpy as np
import tensorflow as tf
from pydantic import Field

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import pretrained
from tfloom.trainers.backbone import Features
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.video_backbone import VideoBackbone, VideoLayer, frames_of, keep_statistics

Weight = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class TwoStream(VideoBackbone):
    """Two `tsn`: over the group `clip`, and over `flow`, clips of optical flow. Both learn from their fused scores.

    fusion: `average`; two weights, of the clip's scores and of the flow's, as TSN's [1, 1.5]; or `svm`, a linear one
      over both, which is fitted to the split train once the networks have learned.
    weights: a file of safetensors that both networks start from; the first convolution over flow takes the mean of its
      colours.
    flow_weights: such a file for the network over flow.
    """

    accepts = {"clip": (Clip,), "flow": (Clip,)}

    name: Literal["two_stream"] = "two_stream"
    fusion: Literal["average", "svm"] | tuple[Weight, Weight] = "average"
    flow_weights: str | None = None

    def choose(self, part: str, spec: FeatureSpec) -> tuple[Column, ...]:
        return tuple(spec.model_groups.get(part, ()))

    def layer(self, parts: Mapping[str, tuple[Column, ...]], num_buckets: Mapping[str, int], units: int) -> keras.Layer:
        spatial, temporal = (
            VideoLayer(part, self.over_clips(frames_of(parts[part][0]), units)) for part in self.accepts
        )
        if self.partial_bn:
            keep_statistics(spatial)
            keep_statistics(temporal)
        if self.fusion == "svm":
            return TwoStreamLayer(spatial, temporal, SupportVectors(units))
        fusion = WeightedMean((1.0, 1.0) if self.fusion == "average" else self.fusion)
        return TwoStreamLayer(spatial, temporal, fusion)

    def files(self) -> dict[str, str]:
        return super().files() | ({} if self.flow_weights is None else {"flow_weights": self.flow_weights})

    def read_saved(self, layer: keras.Layer) -> None:
        for stream, file in ((layer.spatial, self.weights), (layer.temporal, self.flow_weights or self.weights)):
            if file is not None:
                pretrained.read(file, stream)

    @property
    def fits_last(self) -> bool:
        return self.fusion == "svm"

    def fit_last(self, network: Any, batches: Iterable[Any]) -> None:
        layer = network.backbone
        seen = tf.function(
            lambda features: scores(*layer.streams(network.columns.call(features))), reduce_retracing=True
        )
        rows = [(seen(features), labels, *weights) for features, labels, *weights in batches]
        layer.fusion.fit(*(np.concatenate(one) for one in zip(*rows, strict=True)))


class TwoStreamLayer(keras.Layer):
    """Features -> float32 [B, units]."""

    def __init__(self, spatial: VideoLayer, temporal: VideoLayer, fusion: keras.Layer) -> None:
        super().__init__(name="two_stream")
        self.spatial, self.temporal, self.fusion = spatial, temporal, fusion

    def call(self, features: Features, training: bool = False) -> Any:
        return self.fusion(*self.streams(features, training))

    def streams(self, features: Features, training: bool = False) -> tuple[Any, Any]:
        """What each network says, float32 [B, units]."""
        return tuple(
            stream.call({"clip": features[part]}, training)
            for stream, part in ((self.spatial, "clip"), (self.temporal, "flow"))
        )


class WeightedMean(Composite):
    """Of two tensors float32 [B, units]."""

    def __init__(self, weights: tuple[float, float]) -> None:
        super().__init__(name="fusion")
        self.shares = [weight / sum(weights) for weight in weights]

    def call(self, spatial: Any, temporal: Any) -> Any:
        return self.shares[0] * spatial + self.shares[1] * temporal


class SupportVectors(keras.Layer):
    """A linear SVM, one class against the rest, over `scores`: two tensors float32 [B, units] -> distances [B, units].

    Until it is fitted, the mean of the two.
    """

    def __init__(self, units: int) -> None:
        super().__init__(name="fusion", dtype="float32")
        classes = max(units, 2)
        self.kernel = self.add_weight((2 * classes, units), "zeros", trainable=False, name="kernel")
        self.bias = self.add_weight((units,), "zeros", trainable=False, name="bias")
        self.fitted = self.add_weight((), "zeros", trainable=False, name="fitted")

    def call(self, spatial: Any, temporal: Any) -> Any:
        distances = tf.matmul(scores(spatial, temporal), self.kernel) + self.bias
        return tf.where(self.fitted > 0, distances, (spatial + temporal) / 2)

    def fit(self, seen: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> None:
        """seen: of `scores`, [N, D]. labels: int64 [N]. weights: float32 [N]. Raises SpecError."""
        try:
            from sklearn.svm import LinearSVC
        except ImportError:
            raise SpecError("backbone.fusion: svm needs the package scikit-learn",
                            expected="pip install 'tfloom[video]'", received="svm") from None  # fmt: skip
        units = self.kernel.shape[1]
        classes = len(np.unique(labels)) if labels.ndim == 1 and labels.dtype.kind == "i" else 0
        if classes != max(units, 2):
            raise SpecError("backbone.fusion: svm tells classes apart, and has to see each in the split train",
                            expected=f"one of {max(units, 2)} classes in every row",
                            received=f"{classes} classes")  # fmt: skip
        machine = LinearSVC(random_state=0).fit(seen, labels, weights)
        kernel, bias = machine.coef_.T, machine.intercept_
        if units > kernel.shape[1]:  # of two classes it tells the second from the first
            kernel, bias = np.concatenate([-kernel, kernel], axis=1), np.concatenate([-bias, bias])
        self.kernel.assign(kernel)
        self.bias.assign(bias)
        self.fitted.assign(1)


def scores(spatial: Any, temporal: Any) -> Any:
    """Two tensors [B, units] -> float32 [B, D], their softmax, each of length 1, side by side.

    One unit tells a class from another.
    """
    both = (_softmax(tf.cast(logits, tf.float32)) for logits in (spatial, temporal))
    return tf.concat([tf.math.l2_normalize(one, axis=-1) for one in both], axis=-1)


def _softmax(logits: Any) -> Any:
    return tf.nn.softmax(tf.pad(logits, [[0, 0], [1, 0]]) if logits.shape[-1] == 1 else logits)
