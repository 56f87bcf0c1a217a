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
        self.scalar = functools.cache(self._scalar)
        self.vector = functools.cache(self._vector)
        self.categorical = functools.cache(self._categorical)
        self.seconds = functools.cache(self._seconds)
        self.key = functools.cache(self._key)

    def _ragged(self, name: str) -> tf.RaggedTensor:
        value = self.inputs[name]
        return _rows(value.values, value.indices[:, 0], value.dense_shape[0])

    def _scalar(self, name: str) -> tf.Tensor:
        x = self.ragged(name)
        x = x.with_flat_values(tf.cast(x.flat_values, tf.float32))
        return x.to_tensor(float("nan"), shape=[None, 1])[:, 0]

    def _vector(self, name: str, size: int) -> tf.Tensor:
        x = self.ragged(name)
        padded = x.with_flat_values(tf.cast(x.flat_values, tf.float32)).to_tensor(float("nan"), shape=[None, size])
        return tf.where((x.row_lengths() == size)[:, None], padded, float("nan"))

    def _categorical(self, name: str) -> tf.RaggedTensor:
        value = self.inputs[name]
        present = tf.where(value.values != (b"" if value.dtype == tf.string else -1))[:, 0]
        # Fewer ops than two tf.boolean_mask: of a hundred inputs they are a good part of the time to trace the graph.
        rows = tf.gather(value.indices[:, 0], present)
        return _rows(tf.gather(value.values, present), rows, value.dense_shape[0])

    def _seconds(self, name: str) -> tf.Tensor:
        x = self.ragged(name)
        x = x.with_flat_values(calendar.seconds(x.flat_values))
        return x.to_tensor(calendar.MISSING, shape=[None, 1])[:, 0]

    def _key(self, name: str) -> tf.Tensor:
        x = self.ragged(name)
        if x.dtype != tf.string:
            x = x.with_flat_values(tf.strings.as_string(x.flat_values))
        return x.to_tensor("", shape=[None, 1])[:, 0]

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


def _rows(values: tf.Tensor, rows: tf.Tensor, count: tf.Tensor) -> tf.RaggedTensor:
    # Without its checks, which are most of its ops: tf.io.parse_example gives what is sound.
    return tf.RaggedTensor.from_value_rowids(values, rows, count, validate=False)
