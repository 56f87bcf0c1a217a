"""`multiclass_classification`: one class of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.trainers.head import Evaluated, Head, LossOutput, Network, mismatch


class MulticlassClassification(Head):
    """Softmax cross-entropy on n logits; predictions are named as tf.estimator's MultiClassHead names them.

    logits, probabilities: float32 [B, n]. class_ids: int64 [B, 1]. classes: string [B, 1].
    """

    monitor = ("accuracy", True)
    estimator = "Classifier"

    def check(self) -> None:
        if not self.label.class_names or self.label.multi_label:
            raise mismatch(self.name, self.label, "a label with `classes`")

    @property
    def units(self) -> int:
        return len(self.label.class_names)

    def loss(
        self, model: Network, features: Mapping[str, Any], labels: Any, seed: Any = None, training: bool = False
    ) -> LossOutput:
        logits = model(features, training=training)
        per_example = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        return LossOutput(per_example, self.predictions(logits))

    def predictions(self, outputs: Any) -> dict[str, Any]:
        class_ids = tf.argmax(outputs, axis=1)[:, None]
        # In float64, rounded once: float32 exp depends on where a row stands in its batch.
        probabilities = tf.cast(tf.nn.softmax(tf.cast(outputs, tf.float64)), tf.float32)
        return {
            "logits": outputs,
            "probabilities": probabilities,
            "class_ids": class_ids,
            "classes": tf.gather(tf.constant(self.label.class_names), class_ids),
        }

    def evaluate(self, batches: Iterable[Evaluated]) -> dict[str, Any]:
        confusion = np.zeros((self.units, self.units))
        for predictions, labels, weights in batches:
            np.add.at(confusion, (labels, predictions["class_ids"][:, 0]), weights)
        return {
            "accuracy": float(np.trace(confusion) / (confusion.sum() or 1)),
            "curves": {"confusion": confusion.tolist()},
        }

    def classify(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        scores = predictions["probabilities"]
        names = tf.constant(self.label.class_names)[None, :]
        return {"classes": tf.repeat(names, tf.shape(scores)[0], axis=0), "scores": scores}
