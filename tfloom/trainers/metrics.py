"""How good a network is: its predictions and losses over batches, and what its head makes of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import inputs
from tfloom.trainers.head import Head, Network

Judged = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray]
"""Of a batch: the predictions by name, the labels [B] or [B, classes], the weights [B], above 0, and the losses [B]."""

Judge = Callable[..., Judged]
"""Materialised columns, labels and, where the spec has one, weights of a batch -> what `of_batches` reads."""


def of_split(judge: Judge, head: Head, output: TransformOutput, split: str) -> dict[str, Any]:
    """Metrics on a split: `rows`, `loss`, the head's own, and `curves` to draw."""
    batches = inputs.batches(output, split, output.spec.batch_rows, head.label)
    return of_batches(head, (judge(*batch) for batch in batches))


def of_batches(head: Head, judged: Iterable[Judged]) -> dict[str, Any]:
    """`rows`, `loss`, the head's own metrics, and `curves` to draw: a row counts by its weight in all but `rows`.

    Raises DataError where there are no rows.
    """
    kept = [one for one in judged if len(one[1])]
    if not kept:
        raise DataError("evaluate: there is nothing to judge by", expected=f"rows with the label {head.label.name!r}",
                        received="none")  # fmt: skip
    every = np.concatenate([per_example for *_, per_example in kept]).astype(np.float64)
    weights = np.concatenate([weights for _, _, weights, _ in kept]).astype(np.float64)
    told = head.evaluate((predictions, labels, weights) for predictions, labels, weights, _ in kept)
    return {"rows": len(every), "loss": float(np.average(every, weights=weights))} | told


def numbers(told: Mapping[str, Any]) -> dict[str, float]:
    """Those of the metrics that a row of the history has."""
    return {name: value for name, value in told.items() if isinstance(value, float)}


def judging(network: Network, head: Head, spec: FeatureSpec) -> Judge:
    """How a network judges a batch by the weights that it has then: traced once, so make it once."""

    def forward(features: Mapping[str, Any], labels: Any) -> Any:
        told = head.loss(network, features, labels, training=False)
        return dict(told.predictions), told.per_example

    step = tf.function(forward, input_signature=inputs.labelled_signature(spec, head.label)).get_concrete_function()

    def judge(features: Mapping[str, Any], labels: Any, weights: Any = None) -> Judged:
        predictions, per_example = step(features, labels)
        counted = np.ones(len(per_example), np.float32) if weights is None else np.asarray(weights)
        told = {name: value.numpy() for name, value in predictions.items()}
        return told, np.asarray(labels), counted, per_example.numpy()

    return judge
