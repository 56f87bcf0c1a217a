"""`binary_classification`: the probability of one of two classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.trainers.head import Evaluated, Head, LossOutput, Network, mismatch


class BinaryClassification(Head):
    """Sigmoid cross-entropy on one logit; predictions are named as tf.estimator's BinaryClassHead names them.

    logits, logistic: float32 [B, 1]. probabilities: [B, 2]. class_ids: int64 [B, 1]. classes: string [B, 1].
    """

    monitor = ("auc", True)
    estimator = "Classifier"

    def check(self) -> None:
        one_of_two = self.label.task == "binary_classification" or len(self.label.class_names) == 2
        if self.label.multi_label or not one_of_two:
            raise mismatch("binary_classification", self.label, "a label with `above`, `positive` or two classes")

    @property
    def units(self) -> int:
        return 1

    def loss(
        self, model: Network, features: Mapping[str, Any], labels: Any, seed: Any = None, training: bool = False
    ) -> LossOutput:
        logits = model(features, training=training)
        targets = tf.cast(labels, tf.float32)[:, None]
        per_example = tf.nn.sigmoid_cross_entropy_with_logits(targets, logits)[:, 0]
        return LossOutput(per_example, self.predictions(logits))

    def predictions(self, outputs: Any) -> dict[str, Any]:
        # In float64, rounded once: float32 sigmoid depends on where a row stands in its batch.
        wide = tf.cast(outputs, tf.float64)
        logistic, other = tf.sigmoid(wide), tf.sigmoid(-wide)
        class_ids = tf.cast(outputs > 0, tf.int64)
        return {
            "logits": outputs,
            "logistic": tf.cast(logistic, tf.float32),
            "probabilities": tf.cast(tf.concat([other, logistic], axis=1), tf.float32),
            "class_ids": class_ids,
            "classes": tf.gather(tf.constant(self.label.class_names), class_ids),
        }

    def evaluate(self, batches: Iterable[Evaluated]) -> dict[str, Any]:
        told = [(predictions["logits"][:, 0], *counted) for predictions, *counted in batches]
        logits, labels, weights = (np.concatenate(parts).astype(np.float64) for parts in zip(*told, strict=True))
        return binary_metrics(logits, labels, weights)

    def classify(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        scores = predictions["probabilities"]
        names = tf.constant(self.label.class_names)[None, :]
        return {"classes": tf.repeat(names, tf.shape(scores)[0], axis=0), "scores": scores}

    def regress(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        return {"outputs": predictions["logistic"][:, 0]}


def binary_metrics(logits: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None) -> dict[str, Any]:
    """Exact metrics of scores [rows] for labels 0 and 1: every threshold there is, none interpolated.

    weights: above 0, how much each row counts; left out, all are 1.
    """
    weights = np.ones(len(labels)) if weights is None else weights
    probability = np.where(logits >= 0, 1 / (1 + np.exp(-np.abs(logits))), 1 - 1 / (1 + np.exp(-np.abs(logits))))
    order = np.argsort(-logits, kind="stable")
    # Rows of one score pass a threshold together.
    last = np.append(np.diff(logits[order]) != 0, True)
    hits = np.cumsum((weights * labels)[order])[last]
    misses = np.cumsum((weights * (1 - labels))[order])[last]
    decided = hits[-1] > 0 and misses[-1] > 0
    positives, negatives = hits[-1] or 1.0, misses[-1] or 1.0
    tpr, fpr = np.append(0, hits / positives), np.append(0, misses / negatives)
    precision = hits / (hits + misses)
    auc = float(np.trapezoid(tpr, fpr)) if decided else float("nan")
    return {
        "auc": auc,
        "auc_precision_recall": float(np.sum(np.diff(np.append(0, hits)) * precision) / positives),
        "accuracy": float(np.average((logits > 0) == (labels > 0.5), weights=weights)),
        "label/mean": float(np.average(labels, weights=weights)),
        "prediction/mean": float(np.average(probability, weights=weights)),
        "curves": {"roc": _thinned(fpr, tpr), "calibration": _calibration(probability, labels, weights)},
    }


def _thinned(fpr: np.ndarray, tpr: np.ndarray, points: int = 200) -> dict[str, list[float]]:
    kept = np.unique(np.linspace(0, len(fpr) - 1, points).astype(int))
    return {"false_positive_rate": fpr[kept].tolist(), "true_positive_rate": tpr[kept].tolist()}


def _calibration(
    probability: np.ndarray, labels: np.ndarray, weights: np.ndarray, bins: int = 20
) -> dict[str, list[float]]:
    """Of about as many rows each."""
    groups = [g for g in np.array_split(np.argsort(probability, kind="stable"), bins) if len(g)]
    return {
        "predicted": [float(np.average(probability[g], weights=weights[g])) for g in groups],
        "observed": [float(np.average(labels[g], weights=weights[g])) for g in groups],
        "rows": [len(g) for g in groups],
    }
