"""Columns as tf.feature_column has them: written from their fields alone, without our own raw_feature_column."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.feature_column.feature_column_v2 import FeatureTransformationCache

from tests.feature_specs.drawn import INPUTS

_ABSENT = {"float32": float("nan"), "int64": -1, "string": ""}
"""What stands for no value in a dense tensor."""


class InTensorFlow:
    """Rows -> by column its ids or weights, a list a row, or float32 [B, D]; traced once.

    Numbers and the values of categorical columns are fed as dense tensors, from which tf.feature_column drops '' and -1
    itself; raw parts of a cross as sparse ones, weighted values without '' and -1, and their weights beside them.
    """

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        self.columns = {column["name"]: column for column in columns}
        # By key: the input, or an input and the one that it weighs; what is fed where it is absent, and a placeholder.
        self.fed: dict[str, tuple[str | tuple[str, str], Any, Any]] = {}
        with tf.Graph().as_default():
            made = {name: self._column(column) for name, column in self.columns.items()}
            features = {key: placeholder for key, (_, _, placeholder) in self.fed.items()}
            self.fetched = {name: self._output(name, column, features) for name, column in made.items()}
            self.session = tf.compat.v1.Session()
            self.session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])

    def __call__(self, rows: list[dict[str, list[Any]]]) -> dict[str, Any]:
        feeds = {}
        for name, absent, placeholder in self.fed.values():
            values = [row[name] if isinstance(name, str) else _present(row, *name) for row in rows]
            if absent is None:
                feeds[placeholder] = sparse(values, placeholder.dtype)
            else:
                width = placeholder.shape[1] or max([1, *map(len, values)])
                padding = absent if isinstance(absent, list) else [absent] * width
                padded = [row + padding[len(row) :] for row in values]
                feeds[placeholder] = np.array(_encoded(padded), placeholder.dtype.as_numpy_dtype)
        got = self.session.run(self.fetched, feeds)
        return {name: v if isinstance(v, np.ndarray) else ids_by_row(v) for name, v in got.items()}

    def _output(self, name: str, column: Any, features: dict[str, Any]) -> Any:
        if self.columns[name]["kind"] in ("numeric", "indicator", "embedded"):
            return tf.compat.v1.feature_column.input_layer(features, [column])
        pair = column.get_sparse_tensors(FeatureTransformationCache(features), None)
        return pair.id_tensor if pair.weight_tensor is None else pair.weight_tensor

    def _key(self, name: str, absent: Any = None, size: int | None = None, beside: str | None = None) -> str:
        """The key of an input, fed as a sparse tensor; or as a dense one with `absent` where there is no value.

        size: how many values a row has, where it has any. beside: with no place where this input has no value.
        """
        key = f"{name}_{len(self.fed)}"
        kind = tf.as_dtype(INPUTS[name]["dtype"])
        if beside is not None:
            self.fed[key] = (name, beside), None, tf.compat.v1.sparse_placeholder(kind, [None, None])
            return key
        if absent is None:
            self.fed[key] = name, None, tf.compat.v1.sparse_placeholder(kind, [None, None])
        else:
            width = size if INPUTS[name].get("multi_valued") else 1
            self.fed[key] = name, absent, tf.compat.v1.placeholder(kind, [None, width])
        return key

    def _column(self, fields: dict[str, Any], weighed: bool = False) -> Any:
        fc = tf.feature_column
        dtype = INPUTS[fields["source"]]["dtype"] if "source" in fields else None
        beside = fields["source"] if weighed else None
        match fields["kind"]:
            case "numeric":
                size = int(np.prod(fields.get("shape", 1)))
                key = self._key(fields["source"], fields.get("missing", _ABSENT[dtype]), size)
                clip, log1p = fields.get("clip"), fields.get("log1p", False)
                return fc.numeric_column(key, size, normalizer_fn=lambda x: _normalized(x, clip, log1p))
            case "bucketized":
                size = fields.get("shape", 1)
                number = fc.numeric_column(self._key(fields["source"], _ABSENT[dtype], size), size)
                return fc.bucketized_column(number, fields["boundaries"])
            case "vocabulary":
                key = self._key(fields["source"], _ABSENT[dtype], beside=beside)
                return fc.categorical_column_with_vocabulary_list(
                    key, fields["vocabulary"], tf.as_dtype(dtype), num_oov_buckets=fields.get("oov_buckets", 0)
                )
            case "hashed":
                key = self._key(fields["source"], _ABSENT[dtype], beside=beside)
                return fc.categorical_column_with_hash_bucket(key, fields["buckets"], tf.as_dtype(dtype))
            case "identity":
                key = self._key(fields["source"], _ABSENT[dtype], beside=beside)
                return fc.categorical_column_with_identity(key, fields["buckets"], fields.get("default"))
            case "crossed":
                parts = [
                    self._column(self.columns[part]) if isinstance(part, str) else self._key(part["input"])
                    for part in fields["of"]
                ]
                return fc.crossed_column(parts, fields["buckets"], fields.get("hash_key"))
            case "weighted":
                of = self.columns[fields["of"]]
                key = self._key(fields["weights"], beside=of["source"])
                return fc.weighted_categorical_column(self._column(of, weighed=True), key)
            case "indicator":
                return fc.indicator_column(self._column(self.columns[fields["of"]]))
        if "shared" in fields:
            return self._sharing(fields)
        categorical = self._column(self.columns[fields["of"]])
        return fc.embedding_column(
            categorical, fields["dimension"], fields.get("combiner", "mean"), max_norm=fields.get("max_norm"),
            initializer=tf.compat.v1.constant_initializer(table(categorical.num_buckets, fields["dimension"])),
        )  # fmt: skip

    def _sharing(self, fields: dict[str, Any]) -> Any:
        """All that share the table are made at once."""
        sharing = [column for column in self.columns.values() if column.get("shared") == fields["shared"]]
        of = [self._column(self.columns[column["of"]]) for column in sharing]
        start = tf.compat.v1.constant_initializer(table(of[0].num_buckets, fields["dimension"]))
        made = tf.compat.v1.feature_column.shared_embedding_columns(
            of, fields["dimension"], fields["combiner"], start, max_norm=fields["max_norm"]
        )
        return made[sharing.index(fields)]


def _normalized(x: tf.Tensor, clip: list[float | None] | None, log1p: bool) -> tf.Tensor:
    x = tf.cast(x, tf.float32)
    if clip is not None and clip[0] is not None:
        x = tf.maximum(x, clip[0])
    if clip is not None and clip[1] is not None:
        x = tf.minimum(x, clip[1])
    if log1p:
        x = tf.where(x > -1, tf.cast(tf.math.log1p(tf.cast(x, tf.float64)), tf.float32), float("nan"))
    return x


def table(num_buckets: int, dimension: int) -> np.ndarray:
    """What both sides look ids up in: float32, its first row zeros, whose norm is not to be divided by."""
    values = np.random.default_rng(num_buckets).normal(size=(num_buckets, dimension)).astype(np.float32)
    values[0] = 0
    return values


def sparse(rows: list[list[Any]], dtype: tf.DType) -> tf.compat.v1.SparseTensorValue:
    """Values by row, as they lie in a tf.Example."""
    indices = [(i, j) for i, row in enumerate(rows) for j in range(len(row))]
    values = np.array(_encoded([value for row in rows for value in row]), dtype.as_numpy_dtype)
    shape = np.array([len(rows), max(map(len, rows), default=0)], np.int64)
    return tf.compat.v1.SparseTensorValue(np.array(indices, np.int64).reshape(-1, 2), values, shape)


def ids_by_row(value: Any) -> list[list[int]]:
    """The values of a sparse tensor."""
    found: list[list[int]] = [[] for _ in range(int(value.dense_shape[0]))]
    for (row, _), one in zip(np.asarray(value.indices).tolist(), np.asarray(value.values).tolist(), strict=True):
        found[row].append(one)
    return found


def _present(row: dict[str, list[Any]], name: str, beside: str) -> list[Any]:
    """The values of an input at the places where another has one that tf.feature_column does not drop."""
    return [value for value, of in zip(row[name], row[beside], strict=True) if of not in ("", -1)]


def _encoded(values: Any) -> Any:
    """Texts in UTF-8: of a NumPy string the NULs at its end would be lost."""
    if isinstance(values, list):
        return [_encoded(value) for value in values]
    return values.encode() if isinstance(values, str) else values
