"""`multi_label`: any number of classes at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.trainers.head import Evaluated, Head, LossOutput, Network, mismatch
from tfloom.trainers.heads.binary_classification import binary_metrics


class MultiLabel(Head):
    """Sigmoid cross-entropy on n logits, their mean; predictions are named as tf.estimator's MultiLabelHead names them.

    logits, probabilities: float32 [B, n].
    """

    monitor = ("mean_average_precision", True)

    def check(self) -> None:
        if not self.label.multi_label:
            raise mismatch("multi_label", self.label, "a label with `multi_label: true` and `classes`")

    @property
    def units(self) -> int:
        return len(self.label.class_names)

    def loss(
        self, model: Network, features: Mapping[str, Any], labels: Any, seed: Any = None, training: bool = False
    ) -> LossOutput:
        logits = model(features, training=training)
        losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(labels, tf.float32), logits)
        return LossOutput(tf.reduce_mean(losses, axis=1), self.predictions(logits))

    def predictions(self, outputs: Any) -> dict[str, Any]:
        # In float64, rounded once: float32 sigmoid depends on where a row stands in its batch.
        return {"logits": outputs, "probabilities": tf.cast(tf.sigmoid(tf.cast(outputs, tf.float64)), tf.float32)}

    def evaluate(self, batches: Iterable[Evaluated]) -> dict[str, Any]:
        told = [(predictions["logits"], *counted) for predictions, *counted in batches]
        logits, labels, weights = (np.concatenate(parts).astype(np.float64) for parts in zip(*told, strict=True))
        of_class = {
            name: binary_metrics(logits[:, i], labels[:, i], weights)["auc_precision_recall"]
            for i, name in enumerate(self.label.class_names)
            if labels[:, i].any()  # what no row has cannot be found
        }
        mean = float(np.mean(list(of_class.values()))) if of_class else float("nan")
        return {"mean_average_precision": mean, "curves": {"average_precision": of_class}}

    def classify(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        scores = predictions["probabilities"]
        names = tf.constant(self.label.class_names)[None, :]
        return {"classes": tf.repeat(names, tf.shape(scores)[0], axis=0), "scores": scores}
