"""`action_recognition`: one action of several, as the papers on videos measure it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from tfloom.trainers.head import Evaluated
from tfloom.trainers.heads.multiclass_classification import MulticlassClassification


class ActionRecognition(MulticlassClassification):
    """Softmax cross-entropy, loss and predictions as of `multiclass_classification`.

    The consensus over a clip's segments, and over its views where it is tested by several, is the backbone's.
    """

    def evaluate(self, batches: Iterable[Evaluated]) -> dict[str, Any]:
        kept = list(batches)
        told = super().evaluate(kept)
        within, total = 0.0, 0.0
        for predictions, labels, weights in kept:
            within += float(weights[_ranks(predictions["logits"], labels) < 5].sum())
            total += float(weights.sum())
        confusion = np.asarray(told["curves"]["confusion"])
        rows = confusion.sum(axis=1)
        recalls = np.diag(confusion)[rows > 0] / rows[rows > 0]
        return told | {"top_5_accuracy": within / (total or 1), "mean_class_accuracy": float(np.mean(recalls))}


def _ranks(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many classes come before the label's, [B]: of equal logits the first class does, as for argmax."""
    own = np.take_along_axis(logits, labels[:, None], axis=1)
    before = (logits == own) & (np.arange(logits.shape[1]) < labels[:, None])
    return np.sum((logits > own) | before, axis=1)
