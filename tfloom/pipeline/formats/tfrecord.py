"""TFRecord of tf.Example, plain or gzip.

The file is read once more for its columns: no record says what the others hold. A feature of which no record has more
than one value is a column of values, any other of lists; bytes that are UTF-8 throughout are text.
"""

from __future__ import annotations

import functools
import gzip
import os
import struct
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.pipeline.formats import CHUNK_BYTES

_RECORDS = 1_024
"""Records decoded at once."""


def is_one(path: str) -> bool:
    """By the checksum of the first record's length."""
    with open(path, "rb") as file:
        zipped = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if zipped else open(path, "rb") as file:
            head = file.read(12)
    except (OSError, EOFError):
        return False
    return len(head) == 12 and struct.unpack("<I", head[8:])[0] == _masked_crc32c(head[:8])


def schema(path: str) -> pa.Schema:
    """The features of all records. Raises OSError where a record is damaged, or is no tf.Example like the others."""
    stat = os.stat(path)
    return _schema(path, stat.st_mtime_ns, stat.st_size)


def batches(
    path: str, columns: Sequence[str] | None, size: int, malformed: list[tuple[int, str]]
) -> Iterator[pa.RecordBatch]:
    """See the package."""
    whole = schema(path)
    fields = list(whole) if columns is None else [whole.field(name) for name in columns]
    waiting: list[pa.RecordBatch] = []
    for decoded in _decoded(path):
        names = decoded.schema.names
        arrays = [_of_type(decoded.column(f.name) if f.name in names else None, f.type, len(decoded)) for f in fields]
        waiting.append(pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields)))
        while sum(len(one) for one in waiting) >= size or sum(one.nbytes for one in waiting) >= CHUNK_BYTES:
            table = pa.Table.from_batches(waiting)
            yield table.slice(0, size).combine_chunks().to_batches()[0]
            waiting = table.slice(size).to_batches()
    if waiting:
        yield pa.Table.from_batches(waiting).combine_chunks().to_batches()[0]


@functools.lru_cache(maxsize=64)
def _schema(path: str, changed: int, size: int) -> pa.Schema:
    kinds: dict[str, pa.DataType] = {}
    many: set[str] = set()
    no_text: set[str] = set()
    for decoded in _decoded(path):
        for field, values in zip(decoded.schema, decoded.columns, strict=True):
            if pa.types.is_null(field.type):
                kinds.setdefault(field.name, field.type)
                continue
            kind, known = field.type.value_type, kinds.get(field.name, pa.null())
            if not pa.types.is_null(known) and known != kind:
                raise OSError(f"the feature {field.name!r} is {known} in some records and {kind} in others")
            kinds[field.name] = kind
            if (pc.max(pc.list_value_length(values)).as_py() or 0) > 1:
                many.add(field.name)
            if field.name not in no_text and pa.types.is_large_binary(kind) and not _is_text(values.flatten()):
                no_text.add(field.name)
    return pa.schema([
        pa.field(name, pa.list_(kind) if name in many else kind)
        for name, kind in ((name, _plain(kind, name in no_text)) for name, kind in kinds.items())
    ])  # fmt: skip


def _plain(kind: pa.DataType, no_text: bool) -> pa.DataType:
    """Of a feature that has no value in any record, text."""
    if pa.types.is_null(kind) or pa.types.is_large_binary(kind):
        return pa.binary() if no_text else pa.string()
    return kind


def _of_type(values: pa.Array | None, kind: pa.DataType, count: int) -> pa.Array:
    """What was decoded of a feature, lists, as a column of `kind`; nulls where nothing was."""
    if values is None or pa.types.is_null(values.type):
        return pa.nulls(count, kind)
    if pa.types.is_list(kind):
        return pc.cast(values, kind)
    present = np.asarray(pc.fill_null(pc.list_value_length(values), 0)) > 0
    places = np.where(present, np.cumsum(present) - 1, 0)
    return pc.cast(values.flatten(), kind).take(pa.array(places, mask=~present))


def _decoded(path: str) -> Iterator[pa.RecordBatch]:
    """Some records at once, each feature lists of int64, float32 or large_binary; nulls where none has a value."""
    import tensorflow as tf
    from tfx_bsl.coders import example_coder

    with open(path, "rb") as file:
        compression = "GZIP" if file.read(2) == b"\x1f\x8b" else ""
    decoder, read = example_coder.ExamplesToRecordBatchDecoder(), 0
    try:
        for records in tf.data.TFRecordDataset(path, compression).batch(_RECORDS).as_numpy_iterator():
            yield decoder.DecodeBatch(records.tolist())
            read += len(records)
    except tf.errors.OpError as error:
        raise OSError(f"within {_RECORDS} records of record {read + 1}: {error.message}") from error
    except RuntimeError as error:  # of the decoder, which is C++
        raise OSError(f"within {_RECORDS} records of record {read + 1}: {error}") from error


def _is_text(values: pa.Array) -> bool:
    try:
        pc.cast(values, pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _masked_crc32c(data: bytes) -> int:
    """As TFRecord has it (Castagnoli, reflected), bit by bit: it is of eight bytes."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
