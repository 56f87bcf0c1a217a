"""Keras preprocessing layers over tf.data, each adapted to its column; what they make stays in memory.

It does less: nothing is written. StringLookup has [UNK] before the vocabulary, and a missing tailnum is hashed as ''.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tensorflow as tf

from .columns import NUMBERS, QUANTILES, STRINGS, VOCABULARIES, Z_SCORES

BATCH = 65_536


def run(data: Path, to: str, folder: Path, of: str) -> dict[str, np.ndarray]:
    """The columns of flights as arrays."""
    layers = keras.layers
    scaled = {name: layers.Normalization() for name in Z_SCORES}
    buckets = {name: layers.Discretization(num_bins=20, epsilon=0.001) for name in QUANTILES}
    words = {name: layers.StringLookup() for name in VOCABULARIES}
    hashed, crossed = layers.Hashing(4096), layers.HashedCrossing(1000)
    sources = Z_SCORES | QUANTILES
    for name, layer in (scaled | buckets).items():
        layer.adapt(_rows(data, sources[name]).map(lambda x, source=sources[name]: _present(x[source])))
    for name, layer in words.items():
        layer.adapt(_rows(data, name).map(lambda x, name=name: x[name]))

    @tf.function
    def columns(x: dict[str, Any]) -> dict[str, Any]:
        made = {name: _or(0.0, x[sources[name]], layer) for name, layer in scaled.items()}
        made |= {name: _or(19, x[sources[name]], layer) for name, layer in buckets.items()}
        made |= {name: layer(x[name]) for name, layer in words.items()}
        delay = x["arr_delay"]
        late = tf.where(tf.math.is_nan(delay), -1, tf.cast(delay > 15, tf.int32))
        return {**made, "tailnum": hashed(x["tailnum"]), "route": crossed((x["origin"], x["dest"])), "late": late}

    batches = list(_rows(data, *NUMBERS, *STRINGS).map(columns).as_numpy_iterator())
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def _present(x: tf.Tensor) -> tf.Tensor:
    """[B, 1] without what is missing, which would be learned as a number."""
    return tf.boolean_mask(x, tf.math.is_finite(x[:, 0]))


def _or(default: float, x: tf.Tensor, layer: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    """What a layer makes of x, `default` where x is missing."""
    made = layer(x)
    return tf.where(tf.math.is_nan(x), tf.constant(default, made.dtype), made)


def _rows(data: Path, *names: str) -> tf.data.Dataset:
    """Batches [B, 1] of some columns, missing numbers NaN and missing strings ''."""

    def batches() -> Iterator[dict[str, np.ndarray]]:
        for batch in pq.ParquetFile(data).iter_batches(BATCH, columns=list(names)):
            frame = batch.to_pandas()
            yield {name: _column(frame[name])[:, None] for name in names}

    signature = {name: tf.TensorSpec([None, 1], tf.float32 if name in NUMBERS else tf.string) for name in names}
    return tf.data.Dataset.from_generator(batches, output_signature=signature).prefetch(1)


def _column(x: pd.Series) -> np.ndarray:
    return x.to_numpy(np.float32) if x.name in NUMBERS else x.fillna("").to_numpy(object)
