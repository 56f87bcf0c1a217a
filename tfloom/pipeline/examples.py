"""Materialised rows as serialized tf.Examples, column by column.

Features come in the order of their names, the same in every row and run. The encoder of tfx_bsl keeps none, and takes
several times as long.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

_KIND = {"bytes": b"\x0a", "float": b"\x12", "int64": b"\x1a"}
"""The tags of bytes_list, float_list and int64_list in a tf.train.Feature."""


def serialized(rows: pa.RecordBatch) -> pa.Array:
    """A tf.Example of each row, binary [rows].

    rows: columns of lists of int64, float32 or binary; a null is a feature without a kind, as tfx_bsl writes it.
    """
    entries = [_entry(name, rows.column(name)) for name in sorted(rows.schema.names, key=str.encode)]
    parts: list[pa.Array] = []
    for alike, group in itertools.groupby(entries, lambda entry: entry.alike):
        several = list(group)
        parts += [_block(several)] if alike else [part for entry in several for part in entry.parts()]
    features = pc.binary_join_element_wise(*parts, b"") if parts else pa.array([b""] * rows.num_rows, pa.binary())
    return pc.binary_join_element_wise(_headers(b"\x0a", pc.binary_length(features)), features, b"")


@dataclass(frozen=True)
class _Entry:
    """An entry of the map of features, of all rows.

    values: the encoded ones of all rows, end to end, uint8. sizes: how many bytes of them each row has, int64 [rows],
    -1 where there is no kind.
    """

    name: bytes
    kind: str
    values: np.ndarray
    sizes: np.ndarray

    @property
    def alike(self) -> bool:
        """Whether every row has as many bytes."""
        return len(self.sizes) > 0 and self.sizes[0] >= 0 and bool((self.sizes == self.sizes[0]).all())

    def before(self, size: int) -> bytes:
        """What comes before values of `size` bytes in all."""
        if size < 0:
            feature = b""
        else:
            packed = b"" if self.kind == "bytes" or not size else b"\x0a" + _varint(size)
            feature = _KIND[self.kind] + _varint(len(packed) + size) + packed
        length = len(feature) + max(size, 0)
        entry = b"\x0a" + _varint(len(self.name)) + self.name + b"\x12" + _varint(length) + feature
        return b"\x0a" + _varint(len(entry) + max(size, 0)) + entry

    def parts(self) -> tuple[pa.Array, pa.Array]:
        """What comes before the values of each row, and the values."""
        there = np.maximum(self.sizes, 0)
        values = _binary(self.values, np.concatenate([[0], np.cumsum(there)]))
        if not len(there) or there.max() > 2 * len(there):  # few sizes are alike
            distinct, index = np.unique(self.sizes, return_inverse=True)
        else:
            counts = np.bincount(self.sizes + 1)
            distinct, index = np.flatnonzero(counts) - 1, (np.cumsum(counts > 0) - 1)[self.sizes + 1]
        heads = pa.array([self.before(int(size)) for size in distinct], pa.binary())
        return heads.take(pa.array(index)), values


def _entry(name: str, column: pa.Array) -> _Entry:
    counts = np.diff(column.offsets.to_numpy()).astype(np.int64)
    absent = column.is_null().to_numpy(zero_copy_only=False) if column.null_count else None
    if absent is not None:
        counts[absent] = 0
    flat = column.flatten()
    if pa.types.is_integer(flat.type):
        kind, (values, lengths) = "int64", _varints(flat.to_numpy(zero_copy_only=False).view(np.uint64))
    elif pa.types.is_floating(flat.type):
        numbers = np.ascontiguousarray(flat.to_numpy(zero_copy_only=False), "<f4")
        kind, values, lengths = "float", numbers.view(np.uint8), np.full(len(flat), 4, np.int64)
    else:
        flat = flat.cast(pa.binary())
        flat = pc.binary_join_element_wise(_headers(b"\x0a", pc.binary_length(flat)), flat, b"")
        kind, values, lengths = "bytes", np.frombuffer(flat.buffers()[2] or b"", np.uint8), np.diff(_offsets(flat))
    if len(counts) == len(lengths) and (counts == 1).all():
        sizes = lengths
    else:
        sizes = np.diff(np.concatenate([[0], np.cumsum(lengths)])[np.concatenate([[0], np.cumsum(counts)])])
    return _Entry(name.encode(), kind, values, sizes if absent is None else np.where(absent, -1, sizes))


def _block(entries: Sequence[_Entry]) -> pa.Array:
    """Entries of which every row has as many bytes, side by side, binary [rows]."""
    columns: list[np.ndarray] = []
    for entry in entries:
        rows, size = len(entry.sizes), int(entry.sizes[0])
        before = np.frombuffer(entry.before(size), np.uint8)
        columns += [np.broadcast_to(before, (rows, len(before))), entry.values[: rows * size].reshape(rows, size)]
    block = np.hstack(columns)
    return _binary(block.reshape(-1), np.arange(rows + 1) * block.shape[1])


def _headers(tag: bytes, lengths: pa.Array) -> pa.Array:
    """A tag and a length for each."""
    distinct = lengths.dictionary_encode()
    heads = pa.array([tag + _varint(length) for length in distinct.dictionary.to_pylist()], pa.binary())
    return heads.take(distinct.indices)


def _binary(content: Any, offsets: np.ndarray) -> pa.Array:
    """Binary [offsets - 1] of what lies between one offset and the next."""
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(content)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _offsets(values: pa.Array) -> np.ndarray:
    return np.frombuffer(values.buffers()[1], np.int32, len(values) + 1, values.offset * 4).astype(np.int64)


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _varints(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """uint64 [N] -> the varints of all, one after the other, uint8, and how many bytes each has."""
    most = int(numbers.max(initial=0))
    if most <= 0x7F:
        return numbers.astype(np.uint8), np.ones(len(numbers), np.int64)
    lengths = np.ones(len(numbers), np.int64)
    for bits in range(7, most.bit_length(), 7):
        lengths += numbers >> np.uint64(bits) != 0
    starts = np.cumsum(lengths) - lengths
    encoded = np.empty(int(lengths.sum()), np.uint8)
    for i in range(int(lengths.max(initial=0))):
        has = lengths > i
        part = (numbers[has] >> np.uint64(7 * i)).astype(np.uint8) & 0x7F
        encoded[starts[has] + i] = part | np.where(lengths[has] > i + 1, 0x80, 0).astype(np.uint8)
    return encoded, lengths
