"""What of a parsed row enters the transform graph, and what passes beside it, as RecordBatches of list columns."""

from __future__ import annotations

import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.tfxio import tensor_adapter, tensor_representation_util

from tfloom.feature_specs.directories import ORIGIN, WEIGHT, key_feature
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import learning
from tfloom.pipeline.shards import PLACE

_ARROW = {tf.int64: pa.int64(), tf.float32: pa.float32(), tf.string: pa.binary()}


def passing(spec: FeatureSpec) -> dict[str, pa.DataType]:
    """What does not enter the graph: labels, weight and key, which are no inputs of a served model; where it lies."""
    types = {label.name: pa.float32() if label.task == "regression" else pa.int64() for label in spec.labels}
    types |= {WEIGHT: pa.float32()} if spec.weight is not None else {}
    types |= {key_feature(name): pa.binary() for name in spec.key}
    return types | {ORIGIN: pa.binary(), PLACE: pa.int64()}


def adapter_config(spec: FeatureSpec) -> tensor_adapter.TensorAdapterConfig:
    """How a RecordBatch of parsed rows of a resolved spec becomes tensors."""
    raw, learned = spec.raw_feature_spec(), learning.feature_spec(spec)
    # In the order in which ingest and learning put them.
    types = {name: _ARROW[feature.dtype] for name, feature in raw.items()} | passing(spec)
    types |= {name: _ARROW[feature.dtype] for name, feature in learned.items()}
    metadata = tft.DatasetMetadata.from_feature_spec(raw | learned)
    return tensor_adapter.TensorAdapterConfig(
        pa.schema([pa.field(name, pa.list_(kind)) for name, kind in types.items()]),
        tensor_representation_util.InferTensorRepresentationsFromSchema(metadata.schema),
    )
