"""For every kind of column: a row as it was materialised is that row as it is served, bit for bit.

The columns of all contracts are one spec. It is exported with a model that hands on what it is given, and its rows are
asked for as raw rows: in process, by REST and by gRPC, as tf.Examples (`transform`) and as named inputs
(`serving_default`), at the batch sizes of `verify`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs import discovery, parsed_rows, tensor_json
from tfloom.feature_specs.directories import ORIGIN, TransformOutput
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import rows as raw_rows
from tfloom.serving import client, golden, rpc_client, signatures
from tfloom.serving.server import serve
from tfloom.trainers import export, inputs
from tfloom.trainers.servable import Servable

KINDS = discovery.names("tfloom.feature_specs.columns")

BATCHED = {1_001: 1_001, 1_000: 1_001, 7: 28, 1: 12}
"""How many rows are asked for at each batch size; the slow test asks for all of them, in process."""

Columns = Mapping[str, np.ndarray]
Asked = tuple[str, str, int]
"""A way to ask, a signature, a batch size."""


@dataclass(frozen=True)
class Proof:
    """spec: resolved. rows: parsed, their inputs alone. expected: some of the rows as they were materialised, by index.

    ask: by way, (signature, rows) -> the outputs of the signature.
    """

    spec: FeatureSpec
    version: Path
    rows: pa.RecordBatch
    expected: Callable[[np.ndarray], dict[str, np.ndarray]]
    ask: Mapping[str, Callable[[str, pa.RecordBatch], Columns]]

    def compared(self, batched: Mapping[int, int]) -> dict[Asked, dict[str, list[int]]]:
        """For each way, signature and batch size: by column, the rows that differ. batched: how many are compared."""
        found: dict[Asked, dict[str, list[int]]] = {}
        for way, ask in self.ask.items():
            for signature in ("transform", "serving_default"):
                for size, count in batched.items():
                    wrong: dict[str, list[int]] = {}
                    found[way, signature, size] = wrong
                    for start in range(0, count, size):
                        batch = np.arange(start, min(start + size, count))
                        told = ask(signature, self.rows.slice(start, len(batch)))
                        for name, rows in differing(self.expected(batch), told).items():
                            wrong.setdefault(name, []).extend(batch[rows].tolist())
        return found


def differing(expected: Columns, served: Columns) -> dict[str, np.ndarray]:
    """By name of what is served, the rows that are not what was materialised: other bits, or another length."""
    result = {}
    for name, received in served.items():
        wanted = expected[name]
        assert (received.dtype, received.shape) == (wanted.dtype, wanted.shape), name
        if wanted.dtype != object:
            bits = f"u{wanted.dtype.itemsize}"
            wanted, received = (np.ascontiguousarray(one).view(bits) for one in (wanted, received))
        result[name] = np.flatnonzero((wanted != received).reshape(len(wanted), -1).any(axis=1))
    return result


@pytest.fixture(scope="module")
def proof(every_contract, tmp_path_factory):
    output = every_contract.output
    with raw_rows.opened(every_contract.more) as sources:
        chunks = [done.rows for _, done in raw_rows.parsed(output.spec, sources)]
    rows = pa.Table.from_batches(chunks).combine_chunks().to_batches()[0]
    expected, origins = by_origin(output), rows.column(ORIGIN).flatten().to_pylist()
    rows = rows.select(list(output.spec.input_names))
    assert rows.num_rows >= max(BATCHED)

    version = tmp_path_factory.mktemp("every_kind") / "1"
    card = {"model": None, "transformed": str(output.path), "fingerprint": output.fingerprint, "task": "columns"}
    export.write(Servable(output, predict=lambda columns: columns, variables=[]), output, version, card)
    with serve({"columns": version}, port=0, grpc_port=0) as server:
        ask = ways(output.spec, version, f"{server.url}/v1/models/columns", f"{server.grpc_url}/columns")
        yield Proof(output.spec, version, rows, lambda batch: expected([origins[i] for i in batch]), ask)


def by_origin(output: TransformOutput) -> Callable[[list[bytes]], dict[str, np.ndarray]]:
    """Origins of rows -> the rows as they lie in the examples, dense."""
    records = [
        record
        for split in ("train", "eval", "test")
        for record in tf.data.TFRecordDataset(output.examples(split), "GZIP").as_numpy_iterator()
    ]
    wanted = inputs.examples_spec(output.spec.materialised) | {ORIGIN: tf.io.FixedLenFeature([], tf.string)}
    made = tf.io.parse_example(records, wanted)
    places = {origin: i for i, origin in enumerate(made.pop(ORIGIN).numpy())}
    made = {k: tf.RaggedTensor.from_sparse(v) if isinstance(v, tf.SparseTensor) else v for k, v in made.items()}

    def take(origins: list[bytes]) -> dict[str, np.ndarray]:
        rows = [places[origin] for origin in origins]
        return {name: padded(tf.gather(value, rows)).numpy() for name, value in made.items()}

    return take


def padded(value: Any) -> tf.Tensor:
    if not isinstance(value, tf.RaggedTensor):
        return value
    return value.to_tensor(inputs.padding(value.dtype))


def ways(
    spec: FeatureSpec, version: Path, url: str, grpc_url: str
) -> dict[str, Callable[[str, pa.RecordBatch], Columns]]:
    infos = signatures.read(version)
    loaded = tf.saved_model.load(str(version))

    def given(signature: str, rows: pa.RecordBatch) -> Columns:
        if signature == "transform":
            return {"examples": parsed_rows.examples(rows, spec.input_names)}
        return parsed_rows.named(rows, {name: info.rank for name, info in infos[signature].inputs.items()})

    def in_process(signature: str, rows: pa.RecordBatch) -> Columns:
        of = infos[signature].inputs
        tensors = {name: tf.constant(value, of[name].dtype) for name, value in given(signature, rows).items()}
        return {name: value.numpy() for name, value in loaded.signatures[signature](**tensors).items()}

    def by_rest(signature: str, rows: pa.RecordBatch) -> Columns:
        told, of = client.predict(url, given(signature, rows), signature), infos[signature].outputs
        return {name: tensor_json.decode(value, of[name].dtype, of[name].shape, name) for name, value in told.items()}

    def by_grpc(signature: str, rows: pa.RecordBatch) -> Columns:
        return rpc_client.predict(grpc_url, given(signature, rows), signature)

    return {"in process": in_process, "REST": by_rest, "gRPC": by_grpc}


@pytest.fixture(scope="module")
def compared(proof):
    return proof.compared(BATCHED)


def served_by_a_kind(spec: FeatureSpec, kind: str) -> set[str]:
    """The materialised columns that a model reads of a kind: its own, or those that it encodes."""
    columns = [column for column in spec.columns if column.kind == kind]
    assert columns, f"no contract has a column of the kind {kind}"
    read = {name: [one.name for one in spec.encoded([spec.by_name[name]]) if one.transformed_type is not None]
            for name in (column.name for column in columns)}  # fmt: skip
    assert all(read.values()), f"{kind} has no value in a model: {read}"
    return {name for names in read.values() for name in names}


@pytest.mark.parametrize("kind", KINDS)
def test_a_served_row_is_the_materialised_row(kind, proof, compared):
    names = served_by_a_kind(proof.spec, kind)
    assert {asked[0] for asked in compared} == {"in process", "REST", "gRPC"}
    read_by_a_model = {column.name for column in proof.spec.model_inputs}
    for (way, signature, size), found in compared.items():
        read = names if signature == "transform" else names & read_by_a_model
        assert {name: found[name] for name in read} == {name: [] for name in read}, f"{signature} {way}, {size} at once"


def test_every_materialised_column_is_compared(proof, compared):
    names = {column.name for column in proof.spec.materialised}
    assert names == set().union(*(served_by_a_kind(proof.spec, kind) for kind in KINDS))
    assert {column.kind for column in proof.spec.columns} == set(KINDS)
    assert all(found.keys() == names for (_, signature, _), found in compared.items() if signature == "transform")
    inputs_of_a_model = {column.name for column in proof.spec.model_inputs}
    assert all(f.keys() == inputs_of_a_model for (_, signature, _), f in compared.items() if signature != "transform")
    assert {size for _, _, size in compared} == {1, 7, 1_000, 1_001}


def test_every_kind_is_served_without_python(proof):
    assert golden.check(proof.version) == ["serving_default", "serving_examples", "transform"]


def test_a_bit_that_differs_is_seen():
    nan = np.array([0x7FC00000, 0x7FC00001], np.uint32).view(np.float32)
    ids, texts = np.int64([[1, -1], [2, 3]]), np.array([b"\xff", b""], object)
    rows = {"zero": np.float32([[0.0], [1.0]]), "nan": nan[[0, 0]], "ids": ids, "texts": texts}
    other = {"zero": np.float32([[-0.0], [1.0]]), "nan": nan, "ids": ids[:, ::-1], "texts": texts[::-1]}
    assert {name: found.tolist() for name, found in differing(rows, rows).items()} == {name: [] for name in rows}
    found = {name: found.tolist() for name, found in differing(rows, other).items()}
    assert found == {"zero": [0], "nan": [1], "ids": [0, 1], "texts": [0, 1]}


@pytest.mark.slow
def test_every_row_at_every_batch_size(proof):
    """In process alone: a call of this graph takes tenths of a second, and what carries a row does not look at it."""
    in_process = replace(proof, ask={"in process": proof.ask["in process"]})
    compared = in_process.compared(dict.fromkeys(BATCHED, proof.rows.num_rows))
    assert {(*asked, name): rows for asked, found in compared.items() for name, rows in found.items() if rows} == {}
