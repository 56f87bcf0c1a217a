"""Suspected leaks: columns of the data that tell the label nearly alone, as what is known only after it does."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.numbers import numbers
from tfloom.feature_specs.values import texts

ROWS = 50_000
"""The sample has at most so many rows."""

FEWEST = 200
"""Fewer rows, or fewer than a tenth of these with one of two classes, tell nothing."""

BINS = 100
AUC = 0.98
TOLD = 0.95
"""The share of what a label leaves open that is told by a suspect: of the errors that naming the commonest class
makes, or of the variance of a number's ranks."""


class Sample:
    """Some rows of the data as texts, each as likely to be among them wherever it lies."""

    def __init__(self) -> None:
        self._random = np.random.default_rng(0)
        self._rate = 1.0
        self._drawn = np.zeros(0)
        self._rows: pa.Table | None = None

    def add(self, rows: pa.RecordBatch) -> None:
        """Take the next chunk."""
        drawn = self._random.random(rows.num_rows)
        kept = rows.filter(pa.array(drawn < self._rate))
        told = pa.table({field.name: texts(kept.column(field.name)) for field in kept.schema if _is_told(field.type)})
        self._rows = told if self._rows is None else pa.concat_tables([self._rows, told])
        self._drawn = np.concatenate([self._drawn, drawn[drawn < self._rate]])
        while len(self._drawn) > ROWS:
            self._rate /= 2
            self._rows = self._rows.filter(pa.array(self._drawn < self._rate))
            self._drawn = self._drawn[self._drawn < self._rate]

    def column(self, name: str) -> pa.Array:
        """string [rows], null where missing."""
        assert self._rows is not None
        return self._rows.column(name).combine_chunks()

    def halves(self) -> np.ndarray:
        """bool [rows]: the rows dealt to two halves, whatever their order."""
        return np.random.default_rng(1).random(len(self._drawn)) < 0.5


def suspects(sample: Sample, label: Label, names: Sequence[str]) -> dict[str, str]:
    """For each of these columns that tells the label nearly alone, the evidence.

    One half of the rows gives the mean of the label for each value of the column, for each of BINS quantiles of a
    number, and the other half is told by it; and the other way round. A value that one half alone has tells nothing.
    """
    target, known = label.targets(sample.column(label.input))
    labelled = np.asarray(pc.and_(known, pc.is_valid(target)).to_numpy(zero_copy_only=False), bool)
    y = target.to_numpy(zero_copy_only=False)[labelled].astype(np.float64)
    classes = np.bincount(y.astype(np.int64), minlength=2) if label.class_names else np.zeros(0, np.int64)
    if len(y) < FEWEST or (label.task == "binary_classification" and classes.min() < FEWEST / 10):
        return {}
    half = sample.halves()[labelled]
    told = {}
    for name in names:
        codes = _codes(sample.column(name).filter(pa.array(labelled)))
        if evidence := _evidence(label.task, codes, y, classes, half):
            told[name] = evidence
    return told


def _is_told(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind))


def _codes(values: pa.Array) -> np.ndarray:
    """int64 [rows]: which text, or of many numbers which quantile; a missing one too."""
    read, bad = numbers(values, pa.float64())
    if pc.any(bad).as_py() or len(pc.unique(read)) <= BINS:
        return np.unique(values.fill_null("").to_numpy(zero_copy_only=False), return_inverse=True)[1]
    x = read.to_numpy(zero_copy_only=False)
    edges = np.unique(np.nanquantile(x, np.arange(1, BINS) / BINS, method="lower"))
    return np.where(np.isnan(x), len(edges) + 1, np.searchsorted(edges, x, side="right"))


def _evidence(task: str, codes: np.ndarray, y: np.ndarray, classes: np.ndarray, half: np.ndarray) -> str | None:
    if task == "multiclass_classification":
        means = np.stack([_told(codes, (y == one).astype(float), half) for one in range(len(classes))])
        right, commonest = float(np.mean(means.argmax(0) == y)), classes.max() / len(y)
        left = (right - commonest) / max(1 - commonest, 1e-9)
        return f"it alone names {right:.1%} of classes, the commonest is {commonest:.1%}" if left >= TOLD else None
    if task == "binary_classification":
        auc = _auc(_told(codes, y, half), y)
        return f"it alone has an AUC of {auc:.4f}" if auc >= AUC else None
    ranks = _ranks(y)  # a few very large numbers would be nearly all of the variance
    variance = float(np.var(ranks))
    explained = 1 - float(np.mean((_told(codes, ranks, half) - ranks) ** 2)) / variance if variance else 0.0
    return f"it alone explains {explained:.1%} of the variance of ranks" if explained >= TOLD else None


def _told(codes: np.ndarray, y: np.ndarray, half: np.ndarray) -> np.ndarray:
    """float64 [rows]: for each row the mean label of its value in the other half, that of all where it has none."""
    told = np.full(len(y), y.mean())
    for one in (half, ~half):
        rows = np.bincount(codes[~one], minlength=codes.max() + 1)
        sums = np.bincount(codes[~one], y[~one], minlength=codes.max() + 1)
        seen = rows[codes[one]] > 0
        told[one] = np.where(seen, sums[codes[one]] / np.maximum(rows[codes[one]], 1), told[one])
    return told


def _auc(score: np.ndarray, y: np.ndarray) -> float:
    """The share of pairs of a positive and a negative that the score puts in order, a tie half."""
    positives = y.sum()
    ahead = _ranks(score)[y == 1].sum() - positives * (positives + 1) / 2
    return float(ahead / (positives * (len(y) - positives)))


def _ranks(x: np.ndarray) -> np.ndarray:
    """float64 [rows]: from 1 for the least; equal numbers share the middle of their ranks."""
    _, which, counts = np.unique(x, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[which]
