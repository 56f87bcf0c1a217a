"""A transform output as batches: what the trainers and the user's own model.fit read."""

from __future__ import annotations

import functools
import gzip
import hashlib
import os
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfloom.feature_specs.column import Column
from tfloom.feature_specs.directories import ORIGIN, WEIGHT, TransformOutput, training_feature
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.spec import FeatureSpec

SHUFFLE_ROWS = 65_536
SHUFFLE_BYTES = 256 << 20
_SEED = "augment seed"  # no column's name: it has a blank


def batches(
    output: TransformOutput,
    split: str,
    batch_size: int,
    label: Label | None = None,
    *,
    order: tuple[int, int] | None = None,
    skip: int = 0,
    extra: Mapping[str, Any] | None = None,
    training: bool = False,
) -> tf.data.Dataset:
    """Batches of a split: (features, labels), or features alone where there is no label to read.

    Where the spec has a weight they are (features, labels, weights), as Keras' model.fit takes them. Rows without a
    label, or of weight 0, are left out; so a batch may have fewer rows than the others.

    features: by column, float32 [B, D], int64 [B, T] right-padded with -1, float32 [B, T] with NaN, string [B], or
    string [B, N] with "".
    labels: int64 or float32 [B], of several labels a row int64 [B, classes]. weights: float32 [B].

    Args:
      order: (seed, epoch): the rows in an order that is a function of the two; None: as they lie.
      skip: batches left out at the start.
      extra: other features of the examples to parse beside the columns.
      training: to be learned from: columns that have a training form give that, which only the split train has, and
        columns that are augmented give what their `augment` makes of it, each row by a seed that is a function of
        `order` and of its place in it.
    """
    columns = output.spec.model_inputs
    augmented = [column for column in columns if training and column.augmented]
    forms = {training_feature(c.name): c.name for c in columns if training and c.has_training_form}
    files = output.examples(split)
    if order is None:
        rows = tf.data.TFRecordDataset(files, "GZIP")
    else:
        rng = np.random.default_rng([*order, _number(split)])
        files = [files[i] for i in rng.permutation(len(files))]
        rows = tf.data.TFRecordDataset(files, "GZIP", num_parallel_reads=min(len(files), 4))
        rows = rows.shuffle(_shuffled(files), seed=int(rng.integers(2**31)), reshuffle_each_iteration=False)
    rows = rows.enumerate().skip(skip * batch_size).batch(batch_size)
    feature_spec = examples_spec(columns) | dict(extra or {})
    feature_spec |= {form: feature_spec.pop(name) for form, name in forms.items()}
    if label is not None and output.spec.weight is not None:
        feature_spec[WEIGHT] = tf.io.FixedLenFeature([], tf.float32)
    if label is not None:
        target = _targets(label)
        feature_spec[label.name] = tf.io.FixedLenFeature(target.shape[1:], target.dtype)

    def parse(places: tf.Tensor, serialized: tf.Tensor) -> Any:
        read = tf.io.parse_example(serialized, feature_spec)
        parsed = {forms.get(name, name): dense(value) for name, value in read.items()}
        if augmented:
            parsed[_SEED] = _seeds(order or (0, 0), places)
        if label is None:
            return parsed
        labels = parsed.pop(label.name)
        wanted = []
        if label.missing == "keep":  # materialised for prediction; there is nothing to learn from them
            first = labels[:, 0] if label.width else labels  # of several, all are missing or none
            wanted.append(~tf.math.is_nan(first) if first.dtype.is_floating else first >= 0)
        if WEIGHT in parsed:  # not by a product with 0: that of a loss that is NaN is NaN
            wanted.append(parsed[WEIGHT] > 0)
        if wanted:
            taken = functools.reduce(tf.logical_and, wanted)
            parsed = {name: tf.boolean_mask(value, taken) for name, value in parsed.items()}
            labels = tf.boolean_mask(labels, taken)
        return (parsed, labels) if WEIGHT not in parsed else (parsed, labels, parsed.pop(WEIGHT))

    data = rows.map(parse, num_parallel_calls=2).prefetch(4)
    if not augmented:
        return data

    def augment(parsed: dict[str, Any], *told: Any) -> Any:
        seeds = parsed.pop(_SEED)
        parsed |= {column.name: column.augment(parsed[column.name], seeds) for column in augmented}
        return (parsed, *told) if told else parsed

    return data.map(augment, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True).prefetch(tf.data.AUTOTUNE)


def _seeds(order: tuple[int, int], places: tf.Tensor) -> tf.Tensor:
    """A seed for each row of these places in an order: int32 [B, 2]."""
    of_epoch = tf.random.stateless_uniform([], order, None, None, tf.int32)
    places = tf.cast(places, tf.int32)
    return tf.stack([tf.fill(tf.shape(places), of_epoch), places], axis=1)


def with_origins(output: TransformOutput, split: str, batch_size: int) -> tf.data.Dataset:
    """Features of a split as they lie, with ORIGIN, string [B], among them."""
    return batches(output, split, batch_size, extra={ORIGIN: tf.io.FixedLenFeature([], tf.string)})


def examples_spec(columns: Sequence[Column]) -> dict[str, Any]:
    """How materialised columns are parsed from a tf.Example."""
    result: dict[str, Any] = {}
    for column in columns:
        kind = column.transformed_type
        assert kind is not None
        if kind.dtype == "int64":
            result[column.name] = tf.io.VarLenFeature(tf.int64)
        elif kind.dtype == "bytes":
            result[column.name] = tf.io.VarLenFeature(tf.string) if kind.many else tf.io.FixedLenFeature([], tf.string)
        elif kind.dimension is None:
            result[column.name] = tf.io.VarLenFeature(tf.float32)
        else:
            result[column.name] = tf.io.FixedLenFeature([kind.dimension], tf.float32)
    return result


def dense(value: Any) -> tf.Tensor:
    """Ids, numbers or bytes of any number a row -> [B, T], right-padded with -1, NaN or ""; anything else as it is."""
    if not isinstance(value, tf.SparseTensor):
        return value
    return tf.sparse.to_dense(value, padding(value.dtype))


def padding(dtype: tf.DType) -> Any:
    """What a row with fewer values than others is padded with."""
    return "" if dtype == tf.string else float("nan") if dtype.is_floating else -1


def signature(columns: Sequence[Column], training: bool = False) -> dict[str, tf.TensorSpec]:
    """The materialised columns of a batch, by name; in training what is made of those that are augmented."""
    return {column.name: (training and _augmented(column)) or _tensor(column) for column in columns}


def labelled_signature(spec: FeatureSpec, label: Label, training: bool = False) -> list[Any]:
    """The columns, as `signature` has them, and the labels of a batch."""
    return [signature(spec.model_inputs, training), _targets(label)]


def weight_signature(spec: FeatureSpec) -> list[Any]:
    """The weights of a batch, where it has some."""
    return [] if spec.weight is None else [tf.TensorSpec([None], tf.float32)]


def keras_inputs(output: TransformOutput) -> dict[str, Any]:
    """A keras.Input for every materialised column that the groups read, by name."""
    return {
        name: keras.Input(shape=one.shape[1:], dtype=one.dtype.name, name=name)
        for name, one in signature(output.spec.model_inputs).items()
    }


def _targets(label: Label) -> tf.TensorSpec:
    of_row = [label.width] if label.width else []
    return tf.TensorSpec([None, *of_row], tf.float32 if label.task == "regression" else tf.int64)


def _augmented(column: Column) -> tf.TensorSpec | None:
    told = column.augmented
    return told and tf.TensorSpec([None, *told.shape], told.dtype, name=column.name)


def _tensor(column: Column) -> tf.TensorSpec:
    kind = column.transformed_type
    assert kind is not None
    if kind.dtype == "int64":
        return tf.TensorSpec([None, None], tf.int64, name=column.name)
    if kind.dtype == "bytes":
        return tf.TensorSpec([None, None] if kind.many else [None], tf.string, name=column.name)
    # Of a dimension of None: any number a row.
    return tf.TensorSpec([None, kind.dimension], tf.float32, name=column.name)


def _shuffled(files: Sequence[str]) -> int:
    """Rows to shuffle at once: as many as fit SHUFFLE_BYTES, judged by the first ones."""
    sizes: list[int] = []
    with gzip.open(files[0]) as file:  # not by tf.data: an Estimator's input_fn builds a graph, and reads nothing yet
        while len(sizes) < 100 and (head := file.read(12)):  # the record's length and its checksum
            sizes.append(int.from_bytes(head[:8], "little"))
            file.seek(sizes[-1] + 4, os.SEEK_CUR)
    return max(64, min(SHUFFLE_ROWS, SHUFFLE_BYTES * len(sizes) // max(sum(sizes), 1)))


def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")
