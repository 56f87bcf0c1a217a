"""Rows in, columns out, of specs that learn nothing."""

import pyarrow as pa
import pytest
import tensorflow as tf
from tensorflow_transform import annotators
from tensorflow_transform.graph_context import TFGraphContext

from tfloom.feature_specs.inputs import TENSORFLOW_DTYPES
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.resolve import resolve


@pytest.fixture
def transform():
    """(spec, inputs by name) -> the columns of a spec that learns nothing, as lists, without a job."""

    def run(spec, **inputs):
        with raw_rows.opened(pa.table(inputs)) as sources:
            spec = resolve(spec, sources)
            ((_, done),) = raw_rows.parsed(spec, sources, labelled=False)
        raw = {
            name: tf.ragged.constant(values.to_pylist(), TENSORFLOW_DTYPES[spec.inputs[name].dtype]).to_sparse()
            for name, values in zip(done.rows.schema.names, done.rows.columns, strict=True)
            if name in spec.inputs
        }
        # As tf.Transform runs it: traced, and its tables made outside of the graph.
        with TFGraphContext(tf.Module()), annotators.object_tracker_scope(annotators.ObjectTracker()):
            made = tf.function(preprocessing_fn(spec), autograph=False)(raw)
        return {
            name: tf.RaggedTensor.from_sparse(value).to_list() if isinstance(value, tf.SparseTensor) else value
            for name, value in made.items()
        }

    return run
