"""`trn`: the multi-scale Temporal Relation Network."""

from __future__ import annotations

import itertools
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import pretrained
from tfloom.trainers.networks.layers import Composite
from tfloom.trainers.video_backbone import VideoBackbone, frames_of

FEATURES = 256
"""Of a frame, and units of a relation's hidden layer."""

CHOSEN = 3
"""Relations of a scale in one step."""

Which = Literal["some", "all"]


_OF_ITS_AUTHORS = {
    "consensus/features": pretrained.CLASSIFIER,
    r"consensus/scale(\d+)/hidden": r"consensus.fc_fusion_scales.\1.1",
    r"consensus/scale(\d+)/dense": r"consensus.fc_fusion_scales.\1.3",
}


class Trn(VideoBackbone):
    """TRN (arXiv:1711.08496): scores of relations, which are 2, 3, ..., T frames in their order, one network a scale.

    train_relations: `some`, three of each scale (the whole clip has one), drawn anew in every step; or `all`.
    serve_relations: `some`, always the same three of each scale, which are 19 for 8 frames; or `all`, 247 for 8 frames.
    """

    names_of_modules = ({}, _OF_ITS_AUTHORS)

    name: Literal["trn"] = "trn"
    train_relations: Which = "some"
    serve_relations: Which = "some"

    def parts(self, spec: FeatureSpec) -> dict[str, tuple[Column, ...]]:
        chosen = super().parts(spec)
        (column,) = chosen["clip"]
        if not 2 <= frames_of(column) <= 16:
            raise SpecError(f"columns.{column.name}.frames: the backbone trn reads every set of frames, 65,519 of 16",
                            expected="2 to 16", received=f"{frames_of(column)}")  # fmt: skip
        return chosen

    def consensus(self, frames: int, units: int) -> keras.Layer:
        return Relations(frames, self.dropout, units, self.train_relations, self.serve_relations)


class Relations(Composite):
    """The sum of what each scale says: float32 [B, T, F] -> [B, units].

    In its authors' code the features start with a deviation of .001; a network without weights from elsewhere did not
    leave that start, so theirs is Keras' own.
    """

    def __init__(self, frames: int, dropout: float, units: int, train: Which, serve: Which) -> None:
        super().__init__(name="consensus")
        self.dropout = keras.layers.Dropout(dropout) if dropout else None
        self.features = keras.layers.Dense(FEATURES, name="features")
        self.scales = [Scale(frames, size, units, train, serve) for size in range(frames, 1, -1)]

    def call(self, x: Any, training: bool = False) -> Any:
        if self.dropout is not None:
            x = self.dropout(x, training=training)
        x = tf.nn.relu(self.features(x))
        return tf.add_n([scale(x, training=training) for scale in self.scales])


class Scale(Composite):
    """Relations of `size` frames: float32 [B, frames, FEATURES] -> [B, units].

    The frames of a relation side by side go through a hidden layer with ReLU and a last one. Of three relations it is
    their sum; of `all`, what three that are drawn give in the mean, so that it may differ between training and serving.
    As in its authors' files a scale's number is how many frames its relations leave out.
    """

    def __init__(self, frames: int, size: int, units: int, train: Which, serve: Which) -> None:
        super().__init__(name=f"scale{frames - size}")
        self.relations = np.array(list(itertools.combinations(range(frames), size)), np.int32)
        self.count = min(CHOSEN, len(self.relations))
        self.train, self.serve = train, serve
        self.seeds = keras.random.SeedGenerator() if self.count < len(self.relations) and train == "some" else None
        self.hidden = keras.layers.Dense(FEATURES, activation="relu", name="hidden")
        self.dense = keras.layers.Dense(units, name="dense")

    def call(self, x: Any, training: bool = False) -> Any:
        relations = self.chosen(training)
        x = tf.gather(x, relations, axis=1)
        x = tf.reshape(x, [-1, relations.shape[0], relations.shape[1] * FEATURES])
        # The last layer is linear: once on the mean is as good as on each, and less work.
        return self.count * self.dense(tf.reduce_mean(self.hidden(x), axis=1))

    def chosen(self, training: bool) -> Any:
        """int32 [number of them, size]: the frames of each relation."""
        if training and self.seeds is not None:
            drawn = tf.math.top_k(keras.random.uniform([len(self.relations)], seed=self.seeds), self.count)
            return tf.gather(self.relations, drawn.indices)
        which = self.train if training else self.serve
        return self.relations if which == "all" else self.relations[spread(len(self.relations), self.count)]


def spread(total: int, count: int) -> list[int]:
    """The places, among `total` in lexicographic order, in the middle of each of `count` equal runs of them."""
    return [(2 * i + 1) * total // (2 * count) for i in range(count)]
