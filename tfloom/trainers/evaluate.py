"""How good a model is: on a split of its transform output, or on other raw rows, as a whole and by slices."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.coders import example_coder

from tfloom.feature_specs.directories import WEIGHT, ModelDirectory
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import inputs, metrics
from tfloom.trainers.metrics import Judged
from tfloom.trainers.train import load


def on_split(model: ModelDirectory, split: str) -> dict[str, Any]:
    """Metrics on a split of the transform output it learned from. Raises ArtefactError where the split has no rows."""
    network, head = load(model)
    return metrics.of_split(metrics.judging(network, head, model.spec), head, model.transformed, split)


def on_rows(
    model: ModelDirectory, parsed: Iterable[tuple[pa.RecordBatch, Sequence[Any]]]
) -> tuple[dict[str, Any], dict[Any, dict[str, Any]]]:
    """Metrics on parsed rows with labels, through the transform graph: of all of them, and by slice.

    parsed: batches of rows, each with the slice that every row belongs to, or an empty sequence.

    Raises:
      DataError: where there are no rows.
    """
    network, head = load(model)
    judge = metrics.judging(network, head, model.spec)
    judged: list[Judged] = []
    slices: list[Any] = []
    for rows, slices_of_rows in parsed:
        labels = rows.column(head.label.name).flatten().to_numpy()
        if head.label.width:
            labels = labels.reshape(-1, head.label.width)
        first = labels[:, 0] if head.label.width else labels
        counted = first >= 0 if labels.dtype.kind == "i" else ~np.isnan(first)  # else kept for prediction
        told = [labels]
        if model.spec.weight is not None:
            told.append(rows.column(WEIGHT).flatten().to_numpy())
            counted &= told[1] != 0
        rows, told = rows.filter(pa.array(counted)), [values[counted] for values in told]
        slices.extend(itertools.compress(slices_of_rows, counted))
        for start, features in materialised(model, rows):
            judged.append(judge(features, *(values[start : start + model.spec.batch_rows] for values in told)))
    if not judged:
        raise DataError("data: has no row with a label to evaluate on", expected="a row or more", received="none")
    everything = _joined(judged)
    by_slice = {
        value: metrics.of_batches(head, [_picked(everything, np.array([s == value for s in slices]))])
        for value in sorted(dict.fromkeys(slices), key=str)
    }
    return metrics.of_batches(head, [everything]), by_slice


def materialised(model: ModelDirectory, rows: pa.RecordBatch) -> Iterator[tuple[int, dict[str, Any]]]:
    """Parsed rows through the transform graph, as the model reads them: (first row, columns), `batch_rows` at once."""
    spec: FeatureSpec = model.spec
    layer = tft.TFTransformOutput(str(model.transformed.path)).transform_features_layer()
    examples = example_coder.RecordBatchToExamplesEncoder().encode(rows.select(list(spec.input_names)))
    raw = spec.raw_feature_spec()
    for start in range(0, len(examples), spec.batch_rows):
        made = layer(dict(tf.io.parse_example(examples[start : start + spec.batch_rows], raw)))
        yield start, {column.name: inputs.dense(made[column.name]) for column in spec.model_inputs}


def _joined(judged: Sequence[Judged]) -> Judged:
    names = judged[0][0]
    predictions = {name: np.concatenate([one[0][name] for one in judged]) for name in names}
    labels, weights, losses = (np.concatenate([one[i] for one in judged]) for i in (1, 2, 3))
    return predictions, labels, weights, losses


def _picked(judged: Judged, rows: np.ndarray) -> Judged:
    predictions, labels, weights, losses = judged
    return {name: value[rows] for name, value in predictions.items()}, labels[rows], weights[rows], losses[rows]
