"""The preprocessing_fn of a spec: the graph that is materialised, and served as it is."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from tfloom.feature_specs import calendar
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.directories import training_feature
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.learning import FOLD, label_input


def preprocessing_fn(spec: FeatureSpec) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    """For tf.Transform: parsed rows -> the materialised columns of a resolved spec, ids as SparseTensors.

    Among them are the training forms, of all rows; see `training_feature`.
    """

    def transform(inputs: Mapping[str, Any]) -> dict[str, Any]:
        values, training = _Values(spec, inputs), {}
        for column in spec.in_order:
            if column.transformed_type is not None:
                with tf.name_scope(column.name):
                    values.transformed[column.name] = column.transform(values)
                    if column.has_training_form:
                        training[training_feature(column.name)] = column.training_form(values)
        return {
            name: value.to_sparse() if isinstance(value, tf.RaggedTensor) else value
            for name, value in (values.transformed | training).items()
        }

    return transform


class _Values:
    """See feature_specs.column.Values."""

    def __init__(self, spec: FeatureSpec, inputs: Mapping[str, Any]) -> None:
        self.columns: Mapping[str, Column] = spec.by_name
        self.inputs = inputs
        self.transformed: dict[str, Any] = {}
        self.made: dict[str, Any] = {}
        # Once for each input, however many columns read it: the graph is traced, loaded and run many times.
        self.ragged = functools.cache(self._ragged)
        self.first = functools.cache(self._first)
        self.scalar = functools.cache(self._scalar)
        self.vector = functools.cache(self._vector)
        self.categorical = functools.cache(self._categorical)
        self.seconds = functools.cache(self._seconds)
        self.key = functools.cache(self._key)

    def _ragged(self, name: str) -> tf.RaggedTensor:
        value = self.inputs[name]
        return self._rows(value.values, _row_of_each(value))

    def _first(self, name: str) -> tf.Tensor:
        value = self.inputs[name]
        return self._first_of(tf.cast(value.values, tf.float32), value, float("nan"))

    def _scalar(self, name: str) -> tf.Tensor:
        return tf.reshape(self.first(name), self._constant([-1]))

    def _vector(self, name: str, size: int) -> tf.Tensor:
        x = self.ragged(name)
        padded = x.with_flat_values(tf.cast(x.flat_values, tf.float32)).to_tensor(float("nan"), shape=[None, size])
        return tf.where((x.row_lengths() == size)[:, None], padded, float("nan"))

    def _categorical(self, name: str) -> tf.RaggedTensor:
        value = self.inputs[name]
        absent = self._constant("" if value.dtype == tf.string else -1, value.dtype)
        present = tf.squeeze(tf.where(value.values != absent), axis=1)
        kept, rows = (tf.raw_ops.Gather(params=of, indices=present) for of in (value.values, _row_of_each(value)))
        return self._rows(kept, rows)

    def _seconds(self, name: str) -> tf.Tensor:
        value = self.inputs[name]
        return self._first_of(calendar.seconds(value.values), value, calendar.MISSING)[:, 0]

    def _key(self, name: str) -> tf.Tensor:
        value = self.inputs[name]
        texts = value.values if value.dtype == tf.string else tf.strings.as_string(value.values)
        return self._first_of(texts, value, "")[:, 0]

    def label(self, name: str) -> tf.Tensor:
        return self.inputs[label_input(name)]

    def fold(self, folds: int) -> tf.Tensor:
        return self.inputs[FOLD] % folds

    def column(self, name: str) -> Any:
        return self.transformed[name]

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    # A graph is traced, saved, loaded and run op by op. What stands here once for each input is written out in the ops
    # that it takes, without those that check what tf.io.parse_example gives: a third of what TensorFlow's Python makes
    # of the same.

    def _rows(self, values: tf.Tensor, rows: tf.Tensor) -> tf.RaggedTensor:
        """tf.RaggedTensor.from_value_rowids."""
        some = next(value for value in self.inputs.values() if isinstance(value, tf.SparseTensor))
        count = self.once("number of rows", lambda: some.dense_shape[0])
        weights = self.once("no weights", lambda: tf.constant([], tf.int64))
        counts = tf.raw_ops.DenseBincount(input=rows, size=count, weights=weights, binary_output=False)
        zero, axis = self._constant([0], tf.int64), self._constant(0)
        ends = tf.raw_ops.Cumsum(x=counts, axis=axis)
        splits = tf.raw_ops.ConcatV2(values=[zero, ends], axis=axis)
        return tf.RaggedTensor.from_row_splits(values, splits, validate=False)

    def _first_of(self, values: tf.Tensor, of: tf.SparseTensor, missing: Any) -> tf.Tensor:
        """The first of each row of `values`, which stand where those of `of` do: [B, 1], `missing` without any."""
        dense = tf.raw_ops.SparseToDense(
            sparse_indices=of.indices,
            output_shape=tf.maximum(of.dense_shape, self._constant([0, 1], tf.int64)),
            sparse_values=values,
            default_value=self._constant(missing, values.dtype),
            validate_indices=False,
        )
        return tf.raw_ops.Slice(input=dense, begin=self._constant([0, 0]), size=self._constant([-1, 1]))

    def _constant(self, value: Any, dtype: tf.DType = tf.int32) -> tf.Tensor:
        return self.once(f"{dtype.name} {value}", lambda: tf.constant(value, dtype))


def _row_of_each(value: tf.SparseTensor) -> tf.Tensor:
    return tf.raw_ops.Unpack(value=value.indices, num=2, axis=1)[0]
