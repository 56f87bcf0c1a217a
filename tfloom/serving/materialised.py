"""Materialised rows, read chunk by chunk, in the dense form of the signature `transform`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tfloom.feature_specs.directories import ORIGIN, TransformOutput
from tfloom.feature_specs.split import SPLITS
from tfloom.serving.equality import PADDING

_RECORDS = 8_192
"""Records parsed at once."""


@dataclass(frozen=True)
class Ragged:
    """Ids, numbers or bytes, any number a row. values: int64, float32 or bytes, of all; starts: int64 [rows + 1]."""

    values: np.ndarray
    starts: np.ndarray

    def take(self, rows: np.ndarray, width: int) -> np.ndarray:
        """[rows, T], right-padded with -1, NaN or b""; T is `width`, or the longest row's where that is more."""
        starts, lengths = self.starts[rows], self.starts[rows + 1] - self.starts[rows]
        steps = np.arange(max(width, int(lengths.max(initial=0))))
        within = steps < lengths[:, None]
        result = np.full(within.shape, PADDING[self.values.dtype.kind], self.values.dtype)
        result[within] = self.values[(starts[:, None] + steps)[within]]
        return result


@dataclass(frozen=True)
class Rows:
    """The materialised rows of a chunk, of all splits.

    origins: binary [rows]. columns: by name float32 [rows, D], bytes [rows] or Ragged.
    """

    origins: pa.Array
    columns: Mapping[str, np.ndarray | Ragged]

    def take(self, rows: np.ndarray, widths: Mapping[str, int]) -> dict[str, np.ndarray]:
        """Some rows by their index, dense; ragged ones at least so wide."""
        return {
            name: column.take(rows, widths.get(name, 0)) if isinstance(column, Ragged) else column[rows]
            for name, column in self.columns.items()
        }


def read(transformed: TransformOutput, file: int, chunk: int) -> Rows:
    """The rows that one chunk of one source became; none where it has no shards."""
    import tensorflow as tf

    shards = [path for split in SPLITS for path in transformed.shards(f"{split}-{file:05d}-{chunk:05d}.tfrecord.gz")]
    features = _features(transformed)
    records = tf.data.TFRecordDataset(list(map(str, shards)), "GZIP").batch(_RECORDS)
    batches = [tf.io.parse_example(batch, features) for batch in records]
    if not batches:
        batches = [tf.io.parse_example(tf.zeros([0], tf.string), features)]
    columns = {name: _joined([batch[name] for batch in batches]) for name in features}
    origins = columns.pop(ORIGIN)
    return Rows(pa.array(origins, pa.binary()), columns)


def _features(transformed: TransformOutput) -> dict[str, Any]:
    import tensorflow as tf

    features = {ORIGIN: tf.io.FixedLenFeature([], tf.string)}
    for column in transformed.spec.materialised:
        kind = column.transformed_type
        assert kind is not None
        if kind.dtype == "int64" or (kind.dtype == "float32" and kind.dimension is None) or kind.many:
            dtype = tf.string if kind.dtype == "bytes" else tf.as_dtype(kind.dtype)
            features[column.name] = tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)
        elif kind.dtype == "float32":
            features[column.name] = tf.io.FixedLenFeature([kind.dimension], tf.float32)
        else:
            features[column.name] = tf.io.FixedLenFeature([], tf.string)
    return features


def _joined(parts: list[Any]) -> Any:
    """Tensors of batches -> an array, ragged ones -> Ragged."""
    if not hasattr(parts[0], "row_splits"):
        return np.concatenate([part.numpy() for part in parts])
    lengths = np.concatenate([part.row_lengths().numpy() for part in parts])
    return Ragged(
        np.concatenate([part.flat_values.numpy() for part in parts]), np.concatenate([[0], np.cumsum(lengths)])
    )
