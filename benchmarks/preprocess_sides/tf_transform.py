"""tf.Transform on Beam's local runner, as its own examples have it: the public interface, no code of ours."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from .columns import NUMBERS, QUANTILES, STRINGS, VOCABULARIES, Z_SCORES

Tensors = Mapping[str, Any]

BATCH = 1_000
"""Rows of a batch from Parquet: as many as tfx_bsl puts into one where it chooses, of CSV for example."""


def flights(inputs: Tensors) -> dict[str, Any]:
    """The preprocessing_fn of the ten columns and the label."""
    columns: dict[str, Any] = {name: z_score(inputs[source]) for name, source in Z_SCORES.items()}
    # A missing value goes to the last bucket.
    columns |= {name: dense(tft.bucketize(inputs[source], 20), 19) for name, source in QUANTILES.items()}
    for name in VOCABULARIES:
        columns[name] = tft.compute_and_apply_vocabulary(inputs[name], vocab_filename=name)
    columns["tailnum"] = tft.hash_strings(inputs["tailnum"], 4096)
    columns["route"] = tf.sparse.cross_hashed([inputs["origin"], inputs["dest"]], 1000)
    delay = inputs["arr_delay"]
    columns["late"] = dense(delay.with_values(tf.cast(delay.values > 15, tf.int64)), -1)
    return columns


def wide(inputs: Tensors) -> dict[str, Any]:
    """The preprocessing_fn of 200 columns."""
    columns: dict[str, Any] = {}
    for name, x in inputs.items():
        if name.startswith("number"):
            columns[name] = z_score(x)
        elif name.startswith("word"):
            columns[name] = tft.compute_and_apply_vocabulary(x, vocab_filename=name)
        else:
            columns[name] = tft.hash_strings(x, 4096)
    return columns


def z_score(x: tf.SparseTensor) -> tf.Tensor:
    """Where a value is missing that of the mean, 0."""
    return dense(tft.scale_to_z_score(x), 0)


def dense(x: tf.SparseTensor, default: int) -> tf.Tensor:
    return tft.sparse_tensor_to_dense_with_shape(x, [None, 1], tf.constant(default, x.dtype))


def run(data: Path, to: str, folder: Path, of: str) -> None:
    """Materialise a CSV or Parquet file as TFRecord, beside the transform_fn. of: `flights` or `wide`.

    to: `tfrecord`; of CSV also `tfrecord by dicts`, an instance dict for each row; of Parquet `tfrecord by row groups`,
      a batch for each.
    """
    if of == "flights":
        preprocessing_fn, strings = flights, {**dict.fromkeys(NUMBERS, False), **dict.fromkeys(STRINGS, True)}
    else:
        preprocessing_fn, strings = wide, {name: name[:6] != "number" for name in pq.read_schema(data).names}
    metadata = tft.DatasetMetadata.from_feature_spec(
        {name: tf.io.VarLenFeature(tf.string if text else tf.float32) for name, text in strings.items()}
    )
    if data.suffix == ".parquet":
        batch = None if to == "tfrecord by row groups" else BATCH
        source, config = _parquet(data, list(strings), batch), _adapter(strings)
    else:
        with data.open() as file:
            header = next(csv.reader(file))
        if to == "tfrecord by dicts":
            source, config = _dicts(data, header, strings), metadata
        else:
            lines = tfxio.CsvTFXIO(str(data), header, schema=metadata.schema, skip_header_lines=1)
            source, config = lines.BeamSource(), lines.TensorAdapterConfig()
    with (
        tempfile.TemporaryDirectory() as scratch,
        tft_beam.Context(temp_dir=scratch),
        # By name: DirectRunner would first try a runner that it must download.
        beam.Pipeline(runner=FnApiRunner()) as pipeline,
    ):
        rows = pipeline | "Read" >> source
        (made, _), graph = (rows, config) | tft_beam.AnalyzeAndTransformDataset(
            preprocessing_fn, output_record_batches=True
        )
        encoder = tfxio.RecordBatchToExamplesEncoder()
        _ = (
            made
            | "Encode" >> beam.FlatMapTuple(lambda batch, _: encoder.encode(batch))
            | "Write" >> beam.io.WriteToTFRecord(str(folder / "examples"), file_name_suffix=".tfrecord.gz")
        )
        _ = graph | "WriteTransformFn" >> tft_beam.WriteTransformFn(str(folder))


def _parquet(data: Path, names: Sequence[str], batch: int | None) -> beam.PTransform:
    return (
        beam.io.ReadFromParquetBatched(str(data), columns=list(names))
        | "Batch" >> beam.FlatMap(lambda table: table.to_batches(batch))
        | "Lists" >> beam.Map(_lists)
    )


def _lists(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Each value as a list of itself, a null as an empty one: what a TensorAdapter reads."""
    columns = {}
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        numbers = pa.types.is_integer(column.type) or pa.types.is_floating(column.type)
        # Filtered, which copies: a slice would be sent from stage to stage with all of its row group's text.
        present = column.filter(column.is_valid()).cast(pa.float32() if numbers else pa.binary())
        offsets = np.concatenate([[0], np.cumsum(column.is_valid().to_numpy(zero_copy_only=False))])
        columns[name] = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), present)
    return pa.RecordBatch.from_pydict(columns)


def _adapter(strings: Mapping[str, bool]) -> tfxio.TensorAdapterConfig:
    """How such a batch becomes tensors."""
    return tfxio.TensorAdapterConfig(
        pa.schema([(name, pa.list_(pa.binary() if text else pa.float32())) for name, text in strings.items()]),
        {name: schema_pb2.TensorRepresentation(varlen_sparse_tensor={"column_name": name}) for name in strings},
    )


def _dicts(data: Path, header: Sequence[str], strings: Mapping[str, bool]) -> beam.PTransform:
    """Instance dicts, a row at a time."""
    places = [(header.index(name), name, (lambda value: value) if text else float) for name, text in strings.items()]

    def instance(line: str) -> dict[str, list[Any]]:
        (row,) = csv.reader([line])
        return {name: [kind(row[place])] if row[place] else [] for place, name, kind in places}

    return beam.io.ReadFromText(str(data), skip_header_lines=1) | "Parse" >> beam.Map(instance)
