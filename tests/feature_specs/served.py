"""What a graph makes of rows as a client sends them, of a spec that learns nothing and without a job."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow_transform import annotators
from tensorflow_transform.graph_context import TFGraphContext

from tfloom.feature_specs.inputs import TENSORFLOW_DTYPES
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.preprocessing_fn import preprocessing_fn


def served(spec: FeatureSpec, rows: dict[str, list[list[Any]]]) -> dict[str, Any]:
    """The materialised columns of a resolved spec, those of any number a row as lists; `rows` are lists by input."""
    raw = {
        name: tf.ragged.constant(values, TENSORFLOW_DTYPES[spec.inputs[name].dtype], ragged_rank=1).to_sparse()
        for name, values in rows.items()
    }
    # As tf.Transform runs it: traced, and its tables made outside of the graph.
    with TFGraphContext(tf.Module()), annotators.object_tracker_scope(annotators.ObjectTracker()):
        made = tf.function(preprocessing_fn(spec), autograph=False)(raw)
    return {
        name: tf.RaggedTensor.from_sparse(value).to_list() if isinstance(value, tf.SparseTensor) else value
        for name, value in made.items()
    }
