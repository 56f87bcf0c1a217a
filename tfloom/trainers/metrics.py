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

EVAL_BATCH_SIZE = 1_000

Judged = tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]
"""Of a batch: the predictions by name, the labels [B], the loss of each row [B]."""

Judge = Callable[[Mapping[str, Any], Any], Judged]
"""Materialised columns and labels of a batch -> what `of_batches` reads."""


def of_split(judge: Judge, head: Head, output: TransformOutput, split: str) -> dict[str, Any]:
    """Metrics on a split: `rows`, `loss`, the head's own, and `curves` to draw."""
    return of_batches(head, (judge(*batch) for batch in inputs.batches(output, split, EVAL_BATCH_SIZE, head.label)))


def of_batches(head: Head, judged: Iterable[Judged]) -> dict[str, Any]:
    """`rows`, `loss`, the head's own metrics, and `curves` to draw. Raises DataError where there are no rows."""
    kept = [one for one in judged if len(one[1])]
    if not kept:
        raise DataError("evaluate: there is nothing to judge by", expected=f"rows with the label {head.label.name!r}",
                        received="none")  # fmt: skip
    every = np.concatenate([per_example for _, _, per_example in kept]).astype(np.float64)
    told = head.evaluate((predictions, labels) for predictions, labels, _ in kept)
    return {"rows": len(every), "loss": float(every.mean())} | told


def numbers(told: Mapping[str, Any]) -> dict[str, float]:
    """Those of the metrics that a row of the history has."""
    return {name: value for name, value in told.items() if isinstance(value, float)}


def judging(network: Network, head: Head, spec: FeatureSpec) -> Judge:
    """How a network judges a batch by the weights that it has then: traced once, so make it once."""

    @tf.function(input_signature=inputs.labelled_signature(spec, head.label))
    def step(features: Mapping[str, Any], labels: Any) -> Any:
        told = head.loss(network, features, labels, training=False)
        return dict(told.predictions), told.per_example

    def judge(features: Mapping[str, Any], labels: Any) -> Judged:
        predictions, per_example = step(features, labels)
        return {n: value.numpy() for n, value in predictions.items()}, np.asarray(labels), per_example.numpy()

    return judge
