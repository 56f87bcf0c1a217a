"""Signatures that not every export has: other forms of the one column that a model reads, and what a backbone adds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.feature_specs.column import ServedForm
from tfloom.feature_specs.spec import FeatureSpec

Predict = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Materialised columns of a batch, by name -> predictions, by name."""


@dataclass(frozen=True)
class Signature:
    """A signature that an export has beside those of every export.

    inputs: by name. call: values by name -> outputs by name. golden: a materialised row, columns [1, ...] -> inputs.
    """

    inputs: Mapping[str, tf.TensorSpec]
    call: Predict
    golden: Callable[[Mapping[str, np.ndarray]], Mapping[str, Any]]


def of_columns(spec: FeatureSpec, predict: Predict) -> dict[str, Signature]:
    """The signatures that take other forms of a column than the raw row, where the model reads one column alone."""
    if len(spec.model_inputs) != 1:
        return {}
    (column,) = spec.model_inputs

    def made(name: str, form: ServedForm) -> Signature:
        def call(values: Mapping[str, Any]) -> Mapping[str, Any]:
            return predict({column.name: form.read(values[name])})

        inputs = {name: tf.TensorSpec([None, *form.shape], form.dtype, name=name)}
        return Signature(inputs, call, lambda row: {name: form.golden(tf.constant(row[column.name]))})

    return {name: made(name, form) for name, form in column.served_forms().items()}
