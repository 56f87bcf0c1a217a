"""Rows as tensors: what tfx_bsl's TensorAdapter makes of them."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from tfloom.pipeline.engines.tensors import tensors

SPECS = {"number": tf.io.VarLenFeature(tf.float32), "text": tf.io.VarLenFeature(tf.string),
         "id": tf.io.VarLenFeature(tf.int64), "label": tf.io.FixedLenFeature([], tf.int64)}  # fmt: skip
TYPES = {"number": pa.float32(), "text": pa.binary(), "id": pa.int64(), "label": pa.int64()}
SCHEMA = pa.schema([(name, pa.list_(kind)) for name, kind in TYPES.items()])
ROWS = pa.RecordBatch.from_pylist(
    [
        {"number": [1.5, 2.5], "text": [b"x"], "id": [1], "label": [3]},
        {"number": [], "text": [], "id": [2], "label": [4]},
        {"number": [4.5], "text": [b"\xff"], "id": [3], "label": [5]},
    ],
    SCHEMA,
)
SLICES = {"all": ROWS, "without the first": ROWS.slice(1), "one": ROWS.slice(0, 1), "none": ROWS.slice(0, 0),
          "filtered": ROWS.filter(pa.array([True, False, True]))}  # fmt: skip


@pytest.mark.parametrize("rows", SLICES.values(), ids=list(SLICES))
def test_as_tfx_bsl_makes_them(rows):
    schema = tft.DatasetMetadata.from_feature_spec(SPECS).schema
    representations = tensor_representation_util.InferTensorRepresentationsFromSchema(schema)
    adapter = tensor_adapter.TensorAdapter(tensor_adapter.TensorAdapterConfig(SCHEMA, representations))
    expected = adapter.ToBatchTensors(rows, produce_eager_tensors=True)
    made = tensors(rows, adapter.OriginalTypeSpecs())
    assert made.keys() == expected.keys()
    for name, one in expected.items():
        assert type(made[name]) is type(one)
        parts = ("indices", "values", "dense_shape") if isinstance(one, tf.SparseTensor) else ()
        for a, b in [(getattr(made[name], part), getattr(one, part)) for part in parts] or [(made[name], one)]:
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_array_equal(a, b)
