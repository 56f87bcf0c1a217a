"""Parsed rows as the tensors that a graph reads: what tfx_bsl's TensorAdapter gives, with more of it shared.

Most inputs have one value in every row. Where each value stands, the larger part of a SparseTensor, is then the same
for all of them.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import tensorflow as tf


def tensors(rows: pa.RecordBatch, specs: Mapping[str, Any]) -> dict[str, Any]:
    """List columns as eager tensors, by name: sparse ones, or dense where there is one value a row.

    specs: of which type each is.
    """
    return {
        name: _sparse(rows.column(name)) if isinstance(spec, tf.SparseTensorSpec) else _values(rows.column(name))
        for name, spec in specs.items()
    }


def _sparse(lists: pa.ListArray) -> tf.SparseTensor:
    """[rows, the most values of a row]"""
    counts = np.diff(lists.offsets.to_numpy())
    longest = int(counts.max(initial=0))
    if longest == 1 and counts.all():
        indices = _one_each(len(counts))
    elif longest <= 1:
        indices = _first(np.flatnonzero(counts))
    else:
        of_row = np.repeat(np.arange(len(counts)), counts)
        indices = tf.constant(np.stack([of_row, np.arange(len(of_row)) - (np.cumsum(counts) - counts)[of_row]], axis=1))
    return tf.SparseTensor(indices, _values(lists), tf.constant([len(counts), longest], tf.int64))


@functools.lru_cache(4)
def _one_each(rows: int) -> tf.Tensor:
    return _first(np.arange(rows))


def _first(of_rows: np.ndarray) -> tf.Tensor:
    """Where the first values of these rows stand."""
    indices = np.zeros((len(of_rows), 2), np.int64)
    indices[:, 0] = of_rows
    return tf.constant(indices)


def _values(lists: pa.ListArray) -> tf.Tensor:
    return tf.constant(lists.flatten().to_numpy(zero_copy_only=False))
