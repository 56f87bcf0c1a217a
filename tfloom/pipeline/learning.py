"""What the graph reads beside the inputs: labels and folds, for analyzers and training forms.

A served model is fed neither. tf.Transform prunes of its graph what is not fed, with whatever depends on it; what is
served depends on labels by learned constants alone.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pyarrow as pa

from tfloom.feature_specs.directories import ORIGIN, key_feature
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.lists import of_values

FOLD = "__fold__"
"""A hash of the row's key, or of its origin where the spec has no key: int64, not negative."""


def label_input(name: str) -> str:
    """What a label is called among the inputs of the graph."""
    return f"__label__.{name}"


def feature_spec(spec: FeatureSpec) -> dict[str, Any]:
    """How it is parsed: one value a row, by name; nothing where no column learns from a label."""
    import tensorflow as tf

    labels = [spec.label(name) for name in dict.fromkeys(name for column in spec.columns for name in column.labels())]
    dtypes = {label_input(one.name): tf.float32 if one.task == "regression" else tf.int64 for one in labels}
    if any(column.has_training_form for column in spec.columns):
        dtypes[FOLD] = tf.int64
    return {name: tf.io.FixedLenFeature([], dtype) for name, dtype in dtypes.items()}


def added(spec: FeatureSpec, rows: pa.RecordBatch) -> pa.RecordBatch:
    """Parsed rows with labels, and what `feature_spec` names."""
    for name in feature_spec(spec):
        values = _folds(spec, rows) if name == FOLD else rows.column(name.removeprefix(label_input("")))
        rows = rows.append_column(name, values)
    return rows


def _folds(spec: FeatureSpec, rows: pa.RecordBatch) -> pa.Array:
    """Rows of one key fall into one fold, so that none is told the label of another."""
    names = [key_feature(name) for name in spec.key] or [ORIGIN]
    parts = zip(*(rows.column(name).flatten().to_pylist() for name in names), strict=True)
    # Salted: the split is a hash of the key too, and shares of it are not to be those of a fold.
    digests = (hashlib.blake2b(b"\x1f".join(key), digest_size=8, salt=b"fold").digest() for key in parts)
    hashes = np.array([int.from_bytes(one, "big") >> 1 for one in digests], np.int64)
    return of_values(pa.array(hashes))
