"""Every column of some contracts, materialised by one job: tf.Transform takes many seconds for each."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import tensorflow_transform as tft
from tfx_bsl.coders import example_coder

from tests.feature_specs.columns.more_rows import with_more_rows
from tfloom.feature_specs.directories import ORIGIN, TransformOutput
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.preprocess import preprocess
from tfloom.trainers.inputs import dense, examples_spec

ROWS = 8
HELD_OUT = 2
"""The last rows of a contract are no training rows: nothing is learned from them."""

MANY = 1_001
BATCHED = {1001: MANY, 1000: MANY, 7: 140, 1: 70}
"""How many of MANY rows are transformed at each batch size: a small batch costs what a large one does."""


class Materialised:
    """The columns of the contracts over their rows.

    columns: by name, what a model reads: float32 [ROWS, D], int64 [ROWS, T] right-padded with -1, float32 [ROWS, T]
      with NaN, bytes [ROWS], or bytes [ROWS, N] with b"".
    ids: of columns with any number of ids, numbers or pictures a row, what lies in the examples: a list a row, where -1
      is out-of-vocabulary.
    features: the same as an Estimator reads them, such a column as a SparseTensorValue.
    more: the table that was materialised, with more rows than those of the contracts; see `with_more_rows`.
    """

    def __init__(self, output: TransformOutput, table: pa.Table, more: pa.Table) -> None:
        self.output, self.table, self.more = output, table, more
        records = [
            record for split in ("train", "eval") for record in tf.data.TFRecordDataset(output.examples(split), "GZIP")
        ]
        spec = {ORIGIN: tf.io.FixedLenFeature([], tf.string)}
        spec |= examples_spec(output.spec.materialised)
        made = tf.io.parse_example(records, spec)
        assert made.pop(ORIGIN).numpy().tolist() == [b"memory.parquet:%d" % row for row in range(ROWS)]
        self.ids = {
            name: tf.RaggedTensor.from_sparse(value).to_list()
            for name, value in made.items()
            if isinstance(value, tf.SparseTensor)
        }
        self.features = {name: sparse_value(v) if name in self.ids else v.numpy() for name, v in made.items()}
        self.columns = {name: dense(value).numpy() for name, value in made.items()}

    @cached_property
    def parsed(self) -> pa.RecordBatch:
        """The inputs of the rows, as a client sends them."""
        spec = self.output.spec
        with raw_rows.opened(self.table) as sources:
            ((_, done),) = raw_rows.parsed(spec, sources, labelled=False)
        assert not done.rejected
        return done.rows.select(list(spec.input_names))

    @cached_property
    def many(self) -> list[bytes]:
        """MANY serialized rows: the contracts' own, then their values in other company, floats moved a little."""
        rng = np.random.default_rng(7)
        drawn = {}
        for name, values in zip(self.parsed.schema.names, self.parsed.columns, strict=True):
            picked = values.take(pa.array(np.r_[:ROWS, rng.integers(ROWS, size=MANY - ROWS)]))
            flat = picked.flatten()
            if pa.types.is_floating(flat.type):
                flat = pa.array((flat.to_numpy() + rng.normal(0, 0.1, len(flat))).astype(np.float32))
            drawn[name] = pa.ListArray.from_arrays(picked.offsets, flat)
        return example_coder.RecordBatchToExamplesEncoder().encode(pa.RecordBatch.from_pydict(drawn))

    @cached_property
    def by_batch_size(self) -> dict[int, dict[str, list[bytes]]]:
        """For each of BATCHED the bits of every column, row by row, by the saved transform graph."""
        layer = tft.TFTransformOutput(str(self.output.path)).transform_features_layer()
        raw = self.output.spec.raw_feature_spec()

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def transform(examples: tf.Tensor) -> dict[str, Any]:
            return layer(dict(tf.io.parse_example(examples, raw)))

        return {
            size: _bits([transform(self.many[i : min(i + size, rows)]) for i in range(0, rows, size)])
            for size, rows in BATCHED.items()
        }

    def raw_features(self, column: Any) -> dict[str, Any]:
        """What a tf.feature_column reads: numbers as its own parse spec has them, a missing one its default.

        Single strings and integers are fed as Estimators' input functions did, dense, '' and -1 where missing;
        multi-valued ones without '' and -1, which tf.feature_column drops of dense tensors alone.
        """
        # An absent value is no feature of its example: of an empty one tf.io would not take the default.
        absent = [pc.if_else(pc.equal(pc.list_value_length(x), 0), None, x) for x in self.parsed.columns]
        rows = pa.RecordBatch.from_arrays(absent, self.parsed.schema.names)
        examples = example_coder.RecordBatchToExamplesEncoder().encode(rows)
        wanted = tf.feature_column.make_parse_example_spec([column])
        features: dict[str, Any] = {}
        for name, feature in wanted.items():
            told = self.output.spec.inputs[name]
            if feature.dtype == tf.float32:
                value = tf.io.parse_example(examples, {name: feature})[name]
                features[name] = sparse_value(value) if isinstance(value, tf.SparseTensor) else value.numpy()
                continue
            read = tf.io.VarLenFeature(tf.int64 if told.dtype == "int64" else tf.string)
            value = tf.io.parse_example(examples, {name: read})[name]
            missing = -1 if told.dtype == "int64" else ""
            if told.multi_valued:
                features[name] = sparse_value(tf.sparse.retain(value, value.values != missing))
            else:
                features[name] = tf.RaggedTensor.from_sparse(value).to_tensor(missing, [ROWS, 1]).numpy()
        return features


def sparse_value(value: tf.SparseTensor) -> Any:
    """The same outside any graph."""
    return tf.compat.v1.SparseTensorValue(value.indices.numpy(), value.values.numpy(), value.dense_shape.numpy())


def union(contracts: Iterable[Any]) -> tuple[FeatureSpec, pa.Table]:
    """One spec and one table of contracts, the last HELD_OUT rows in the eval split."""
    written: dict[str, Any] = {"inputs": {}, "columns": [], "labels": [], "split": {"by": "column", "source": "split"}}
    table = pa.table({"split": ["train"] * (ROWS - HELD_OUT) + ["eval"] * HELD_OUT})
    for contract in contracts:
        written["inputs"] |= contract.inputs
        written["labels"] += contract.labels
        written["columns"] += [{"name": name} | fields for name, fields in contract.columns.items()]
        for name, values in contract.rows.items():
            table = table.append_column(name, values)
    return FeatureSpec.model_validate(written), table


def materialise(contracts: Iterable[Any], path: Path) -> Materialised:
    """Run the job, where no other process has."""
    spec, table = union(contracts)
    more = with_more_rows(table, contracts)
    if not path.exists():
        preprocess(spec, {None: more}, path)
    return Materialised(TransformOutput.open(path), table, more)


def _bits(batches: list[dict[str, Any]]) -> dict[str, list[bytes]]:
    return {name: [bits for batch in batches for bits in _row_bits(batch[name])] for name in batches[0]}


def _row_bits(value: Any) -> Iterator[bytes]:
    if isinstance(value, tf.SparseTensor):
        ids, count = value.values.numpy(), int(value.dense_shape[0])
        splits = np.searchsorted(value.indices[:, 0].numpy(), np.arange(count + 1))
        rows = (ids[i:j] for i, j in itertools.pairwise(splits))
        return (b"|".join(row) if row.dtype == object else row.tobytes() for row in rows)
    return (row if isinstance(row, bytes) else row.tobytes() for row in value.numpy())
