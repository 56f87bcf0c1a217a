"""What a chunk leaves behind: shards of examples or of predictions, its account, its rejected rows, its share of the
sample."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf

from tfloom.feature_specs.directories import ORIGIN, Form, training_feature
from tfloom.feature_specs.split import SPLITS
from tfloom.pipeline.examples import serialized
from tfloom.pipeline.ingest import Ingested
from tfloom.pipeline.lists import of_values
from tfloom.pipeline.records import gzipped
from tfloom.pipeline.sources import Chunk, Source

SAMPLE_ROWS, SAMPLE_BYTES = 2_000, 64 << 20
"""Of the sample, at most; bytes are those of texts, pictures and clips."""

AT_ONCE = 8_192
"""Rows encoded at once: what is made of them by and by stays near the processor."""

_PART = ".part"

PLACE = "__place__"
"""Passed through the transform beside the origin: split, file and chunk of a row in one number."""


def place(split: np.ndarray, chunk: Chunk) -> pa.ListArray:
    """int64, one a row."""
    places = split.astype(np.int64) << 56 | np.int64(chunk.source.index) << 28 | np.int64(chunk.number)
    return of_values(pa.array(places))


def write_examples(rows: pa.RecordBatch, folder: str, form: Form) -> None:
    """Write materialised rows, a shard for each chunk and split: retried, the same bytes under the same name.

    Rows of the training split alone have training forms.
    """
    training = [name for name in rows.schema.names if name.startswith(training_feature(""))]
    places = np.asarray(rows.column(PLACE).flatten())
    rows = rows.drop_columns([PLACE])
    distinct = np.unique(places)
    for one in distinct:
        split, file, number = SPLITS[int(one) >> 56], int(one) >> 28 & 0xFFFFFFF, int(one) & 0xFFFFFFF
        of_split = rows if len(distinct) == 1 else rows.filter(pa.array(places == one))
        of_split = of_split.drop_columns([] if split == "train" else training)
        name = f"{folder}/{split}-{file:05d}-{number:05d}"
        if form != "tfrecord":
            # In one order, whichever engine it comes from.
            write_whole(f"{name}.parquet", _parquet(of_split.select(sorted(of_split.schema.names))))
        if form != "parquet":
            slices = (of_split.slice(first, AT_ONCE) for first in range(0, len(of_split), AT_ONCE))
            write_whole(f"{name}.tfrecord.gz", gzipped(map(serialized, slices)))


def write_account(chunk: Chunk, done: Ingested, folder: str) -> None:
    """Write what became of a chunk's rows, and the rejected ones."""
    name = f"{chunk.source.index:05d}-{chunk.number:05d}"
    if done.rejected:
        lines = "".join(json.dumps(row) + "\n" for row in done.rejected)
        write_whole(f"{folder}/rejected/{name}.jsonl", lines.encode())
    splits = {split: int((done.splits == i).sum()) for i, split in enumerate(SPLITS)}
    write_whole(f"{folder}/accounts/{name}.json", json.dumps({"rows": done.account, "splits": splits}).encode())


def write_sample(chunk: Chunk, done: Ingested, folder: str) -> None:
    """Write a chunk's share of the sample."""
    if done.rows.num_rows:
        name = f"{chunk.source.index:05d}-{chunk.number:05d}"
        ranks = _ranks(chunk.source.label, done.positions + chunk.first_row)
        chosen = np.sort(_least(ranks, _sizes(done.rows)))
        sample = done.rows.take(pa.array(chosen))
        sample = sample.append_column("__rank__", pa.array(ranks[chosen]))
        sample = sample.append_column("__split__", pa.array([SPLITS[s] for s in done.splits[chosen]]))
        write_whole(f"{folder}/accounts/{name}.arrow", _ipc(sample))


def collect(folder: Path, sources: Sequence[Source]) -> dict[str, Any]:
    """Merge what the chunks wrote under `folder`: the account, and `stats/sample.parquet`."""
    (folder / "stats").mkdir(exist_ok=True)
    if (sample := _sample(sorted((folder / "accounts").glob("*.arrow")))) is not None:
        pq.write_table(sample, folder / "stats" / "sample.parquet")
    return summed(folder, sources)


def summed(folder: Path, sources: Sequence[Source]) -> dict[str, Any]:
    """The accounts that the chunks wrote under `folder` as one."""
    rows = dict.fromkeys(("in", "out", "filtered", "unlabelled", "rejected"), 0)
    splits = dict.fromkeys(SPLITS, 0)
    for file in sorted((folder / "accounts").glob("*.json")):
        account = json.loads(file.read_text())
        for name, n in account["rows"].items():
            rows[name] += n
        for name, n in account["splits"].items():
            splits[name] += n
    return {"rows": rows, "splits": splits, "sources": [{"label": s.label, "path": s.place} for s in sources]}


def _sample(shares: Sequence[Path]) -> pa.Table | None:
    """The rows of least rank of all shares, of which one at a time is in memory."""
    if not shares:
        return None
    told = [(one.column("__rank__").to_numpy(), _sizes(one)) for one in map(_read, shares)]
    ranks, sizes = (np.concatenate(parts) for parts in zip(*told, strict=True))
    greatest = ranks[_least(ranks, sizes)[-1]]
    least = [share.filter(pc.less_equal(share.column("__rank__"), greatest)) for share in map(_read, shares)]
    return pa.concat_tables(least).sort_by("__rank__").drop_columns(["__rank__"])


def _least(ranks: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Which rows are a sample: those of least rank, in its order, as far as the sample goes; one at least."""
    order = np.argsort(ranks)[:SAMPLE_ROWS]
    return order[: max(1, int(np.searchsorted(np.cumsum(sizes[order]), SAMPLE_BYTES, "right")))]


def _sizes(rows: pa.RecordBatch | pa.Table) -> np.ndarray:
    """int64 [rows]: the bytes of all texts, pictures and clips of each."""
    total = np.zeros(rows.num_rows, np.int64)
    for column in rows.columns:
        column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
        if pa.types.is_list(column.type) and pa.types.is_binary(column.type.value_type):
            ends = np.concatenate([[0], np.cumsum(pc.binary_length(column.flatten()).to_numpy(), dtype=np.int64)])
            offsets = column.offsets.to_numpy() - column.offsets[0].as_py()
            total += np.diff(ends[offsets])
    return total


def _read(share: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(share))).read_all()


def _ranks(label: str, rows: np.ndarray) -> np.ndarray:
    """uint64 [rows]: a hash of where each lies, so that the rows of least rank are a sample that no order favours.

    Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators": the finalizer of SplitMix64.
    """
    seed = int.from_bytes(hashlib.blake2b(label.encode(), digest_size=8).digest(), "little")
    ranks = rows.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(seed)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        ranks = (ranks ^ ranks >> np.uint64(shift)) * np.uint64(factor)
    return ranks ^ ranks >> np.uint64(31)


def _ipc(rows: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return sink.getvalue().to_pybytes()


def write_predictions(rows: pa.RecordBatch, folder: str) -> None:
    """Write the predictions for a chunk as a shard: retried, the same bytes under the same name."""
    one = int(rows.column(PLACE).flatten()[0].as_py())
    file, number = one >> 28 & 0xFFFFFFF, one & 0xFFFFFFF
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([rows.drop_columns([PLACE])]), sink, compression="zstd")
    write_whole(f"{folder}/predictions/{file:05d}-{number:05d}.parquet", sink.getvalue().to_pybytes())


def _parquet(rows: pa.RecordBatch) -> bytes:
    # No two origins are the same: a dictionary of them takes time, and room.
    repeated = [f"{name}.list.element" for name in rows.schema.names if name != ORIGIN]
    sink = pa.BufferOutputStream()
    table = pa.Table.from_batches([rows])
    pq.write_table(table, sink, compression="zstd", compression_level=1, use_dictionary=repeated)
    return sink.getvalue().to_pybytes()


@contextlib.contextmanager
def whole(path: str) -> Iterator[str]:
    """Where to write a file, which is moved to `path` when it is whole.

    The name is its own for each attempt, two of which may run at once; `remove_parts` clears away what one has left.
    """
    part = f"{os.path.dirname(path)}/.{hashlib.blake2b(os.urandom(8), digest_size=8).hexdigest()}{_PART}"
    yield part
    tf.io.gfile.rename(part, path, overwrite=True)


def write_whole(path: str, content: bytes) -> None:
    """Write a file as `whole` has it."""
    with whole(path) as part, tf.io.gfile.GFile(part, "wb") as file:
        file.write(content)


def remove_parts(folder: str) -> None:
    """Remove what attempts that were killed, or overtaken by another, have left in a folder."""
    for part in tf.io.gfile.glob(f"{folder}/.*{_PART}"):
        with contextlib.suppress(tf.errors.NotFoundError):
            tf.io.gfile.remove(part)
