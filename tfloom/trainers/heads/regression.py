"""`regression`: a number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.trainers.head import Evaluated, Head, LossOutput, Network, mismatch


class Regression(Head):
    """Squared error; predictions are named as tf.estimator's RegressionHead names them.

    predictions: float32 [B, 1].
    """

    monitor = ("rmse", False)
    estimator = "Regressor"

    def check(self) -> None:
        if self.label.task in ("multiclass_classification", "multi_label"):
            raise mismatch("regression", self.label, "a label that is a number")

    @property
    def units(self) -> int:
        return 1

    def loss(
        self, model: Network, features: Mapping[str, Any], labels: Any, seed: Any = None, training: bool = False
    ) -> LossOutput:
        outputs = model(features, training=training)
        per_example = tf.square(outputs[:, 0] - tf.cast(labels, tf.float32))
        return LossOutput(per_example, self.predictions(outputs))

    def predictions(self, outputs: Any) -> dict[str, Any]:
        return {"predictions": outputs}

    def evaluate(self, batches: Iterable[Evaluated]) -> dict[str, Any]:
        told = [(predictions["predictions"][:, 0], *counted) for predictions, *counted in batches]
        predicted, labels, weights = (np.concatenate(parts).astype(np.float64) for parts in zip(*told, strict=True))
        residuals = predicted - labels
        rows, edges = np.histogram(residuals, bins=50, weights=weights)
        mean = lambda x: float(np.average(x, weights=weights))
        return {
            "rmse": float(np.sqrt(mean(residuals**2))),
            "mae": mean(np.abs(residuals)),
            "label/mean": mean(labels),
            "prediction/mean": mean(predicted),
            "curves": {"residuals": {"edges": edges.tolist(), "rows": rows.tolist()}},
        }

    def regress(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        return {"outputs": predictions["predictions"][:, 0]}
