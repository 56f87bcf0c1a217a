"""What of a parsed row enters the transform graph, and what passes beside it, as RecordBatches of list columns."""

from __future__ import annotations

import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from tfloom.feature_specs.directories import ORIGIN
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.shards import PLACE

_ARROW = {tf.int64: pa.int64(), tf.float32: pa.float32(), tf.string: pa.binary()}


def passing(spec: FeatureSpec) -> dict[str, pa.DataType]:
    """What does not enter the graph: labels, for a label is no input of a served model, and where the row lies."""
    labels = {label.name: pa.float32() if label.task == "regression" else pa.int64() for label in spec.labels}
    return labels | {ORIGIN: pa.binary(), PLACE: pa.int64()}


def adapter_config(spec: FeatureSpec) -> tensor_adapter.TensorAdapterConfig:
    """How a RecordBatch of parsed rows of a resolved spec becomes tensors."""
    raw = spec.raw_feature_spec()
    types = {name: _ARROW[feature.dtype] for name, feature in raw.items()} | passing(spec)
    metadata = tft.DatasetMetadata.from_feature_spec(raw)
    return tensor_adapter.TensorAdapterConfig(
        pa.schema([pa.field(name, pa.list_(kind)) for name, kind in types.items()]),
        tensor_representation_util.InferTensorRepresentationsFromSchema(metadata.schema),
    )
