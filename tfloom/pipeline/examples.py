"""Materialised rows as serialized tf.Examples, column by column.

Features come in the order of their names, the same in every row and run. The encoder of tfx_bsl keeps none, and takes
several times as long.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_KIND = {"bytes": b"\x0a", "float": b"\x12", "int64": b"\x1a"}
"""The tags of bytes_list, float_list and int64_list in a tf.train.Feature."""


def serialized(rows: pa.RecordBatch) -> pa.Array:
    """A tf.Example of each row, binary [rows].

    rows: columns of lists of int64, float32 or binary; a null is a feature without a kind, as tfx_bsl writes it.
    """
    parts: list[pa.Array] = []
    for name in sorted(rows.schema.names, key=str.encode):
        parts += _feature(name.encode(), rows.column(name))
    features = pc.binary_join_element_wise(*parts, b"") if parts else pa.array([b""] * rows.num_rows, pa.binary())
    return pc.binary_join_element_wise(_headers(b"\x0a", pc.binary_length(features)), features, b"")


def _feature(name: bytes, column: pa.Array) -> tuple[pa.Array, pa.Array]:
    """An entry of the map of features: what comes before the values of each row, and the values."""
    kind = "int64" if pa.types.is_integer(column.type.value_type) else "float"
    if pa.types.is_binary(column.type.value_type) or pa.types.is_large_binary(column.type.value_type):
        kind = "bytes"
    counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    starts = np.concatenate([[0], np.cumsum(counts)])
    flat = column.flatten()
    if kind == "bytes":
        flat = flat.cast(pa.binary())
        flat = pc.binary_join_element_wise(_headers(b"\x0a", pc.binary_length(flat)), flat, b"")
        offsets, buffer = _offsets(flat)[starts], flat.buffers()[2]
    elif kind == "float":
        offsets, buffer = starts * 4, pa.py_buffer(np.ascontiguousarray(flat.to_numpy(zero_copy_only=False), "<f4"))
    else:
        encoded, lengths = _varints(flat.to_numpy(zero_copy_only=False).view(np.uint64))
        offsets, buffer = np.concatenate([[0], np.cumsum(lengths)])[starts], pa.py_buffer(encoded)
    values = pa.LargeBinaryArray.from_buffers(
        pa.large_binary(), len(column), [None, pa.py_buffer(offsets.astype(np.int64)), buffer]
    ).cast(pa.binary())
    sizes, absent = np.diff(offsets), column.is_null().to_numpy(zero_copy_only=False)
    distinct, index = np.unique(np.where(absent, -1, sizes), return_inverse=True)
    heads = pa.array([_entry(name, kind, int(size)) for size in distinct], pa.binary())
    return heads.take(pa.array(index)), values


def _entry(name: bytes, kind: str, size: int) -> bytes:
    """What comes before values of `size` bytes in all; -1 where there is no kind."""
    if size < 0:
        inner = 0
        feature = b""
    else:
        packed = b"" if kind == "bytes" or not size else b"\x0a" + _varint(size)
        inner = len(packed) + size
        feature = _KIND[kind] + _varint(inner) + packed
    length = len(feature) + max(size, 0)
    entry = b"\x0a" + _varint(len(name)) + name + b"\x12" + _varint(length) + feature
    return b"\x0a" + _varint(len(entry) + max(size, 0)) + entry


def _headers(tag: bytes, lengths: pa.Array) -> pa.Array:
    """A tag and a length for each."""
    distinct = lengths.dictionary_encode()
    heads = pa.array([tag + _varint(length) for length in distinct.dictionary.to_pylist()], pa.binary())
    return heads.take(distinct.indices)


def _offsets(values: pa.Array) -> np.ndarray:
    return np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4).astype(np.int64)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _varints(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint64 [N] -> the varints of all, one after the other, and how many bytes each has."""
    lengths = np.ones(len(numbers), np.int64)
    for bits in range(7, 64, 7):
        longer = numbers >> np.uint64(bits) != 0
        if not longer.any():
            break
        lengths += longer
    starts = np.cumsum(lengths) - lengths
    encoded = np.empty(int(lengths.sum()), np.uint8)
    for i in range(int(lengths.max(initial=0))):
        has = lengths > i
        part = (numbers[has] >> np.uint64(7 * i)).astype(np.uint8) & 0x7F
        encoded[starts[has] + i] = part | np.where(lengths[has] > i + 1, 0x80, 0).astype(np.uint8)
    return encoded, lengths
