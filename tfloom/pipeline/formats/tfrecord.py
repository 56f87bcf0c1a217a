"""TFRecord of tf.Example.

The file is read once more for its columns: no record says what the others hold. A feature of which no record has more
than one value is a column of values, any other of lists; bytes that are UTF-8 throughout are text. Integers among
floats are floats, and numbers among bytes text, as in CSV.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace

import google_crc32c
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs import storage
from tfloom.feature_specs.values import texts
from tfloom.pipeline import streams
from tfloom.pipeline.formats import Batch, Damage, regrouped, shown

ENDINGS = (".tfrecord", ".tfrecords")
PLACE = "offset"

_RECORDS = 1_024
"""Records decoded at once."""

_RUN_BYTES = 16 << 20
"""And what they may hold."""


def is_one(path: str) -> bool:
    """By the checksum of the first record's length."""
    with streams.opened(path) as stream:
        head = stream.read(12)
    return len(head) == 12 and _matches(head[:8], head[8:])


def schema(path: str) -> pa.Schema:
    """The features of all records."""
    return _schema(path, *storage.stat(path))


def batches(path: str, columns: Sequence[str] | None, size: int) -> Iterator[Batch]:
    """See the package. A damaged record is a row of nulls, so that rows are numbered as records are."""
    whole = schema(path)
    fields = pa.schema(list(whole) if columns is None else [whole.field(name) for name in columns])
    yield from regrouped((_of_schema(batch, fields) for batch in _decoded(path)), size, fields)


def places(path: str, rows: Collection[int], records: Collection[int] = ()) -> tuple[dict[int, int], dict[int, int]]:
    """See the package."""
    return {row: offset for row, (offset, _, _) in enumerate(_records(path)) if row in rows}, {}


def _of_schema(batch: Batch, fields: pa.Schema) -> Batch:
    names, count = batch.rows.schema.names, batch.rows.num_rows
    arrays = [_of_type(batch.rows.column(f.name) if f.name in names else None, f.type, count) for f in fields]
    return Batch(pa.RecordBatch.from_arrays(arrays, schema=fields), batch.damages)


@functools.lru_cache(maxsize=64)
def _schema(path: str, changed: int, size: int) -> pa.Schema:
    kinds: dict[str, set[pa.DataType]] = {}
    many: set[str] = set()
    no_text: set[str] = set()
    count = 0
    for decoded, damages in _decoded(path):
        count += decoded.num_rows + sum(one.row is None for one in damages)
        for name, values in zip(decoded.schema.names, decoded.columns, strict=True):
            of_feature = kinds.setdefault(name, set())
            if pa.types.is_null(values.type):
                continue
            kind = values.type.value_type
            of_feature.add(kind)
            if (pc.max(pc.list_value_length(values)).as_py() or 0) > 1:
                many.add(name)
            if name not in no_text and pa.types.is_large_binary(kind) and not _is_text(values.flatten()):
                no_text.add(name)
    if count and not kinds:
        raise OSError(f"none of its {count:,} records is a whole tf.Example that holds a feature")
    plain = {name: _plain(of_feature, name in no_text) for name, of_feature in kinds.items()}
    return pa.schema([pa.field(name, pa.list_(kind) if name in many else kind) for name, kind in plain.items()])


def _plain(kinds: set[pa.DataType], no_text: bool) -> pa.DataType:
    """One type for all that was met; where nothing was, text."""
    if not kinds or any(pa.types.is_large_binary(kind) for kind in kinds):
        return pa.binary() if no_text else pa.string()
    return pa.float64() if len(kinds) > 1 else next(iter(kinds))


def _of_type(values: pa.Array | None, kind: pa.DataType, count: int) -> pa.Array:
    """What was decoded of a feature, lists, as a column of `kind`; nulls where nothing was."""
    if values is None or pa.types.is_null(values.type):
        return pa.nulls(count, kind)
    lengths = pc.list_value_length(values)
    if pa.types.is_list(kind):
        offsets = np.concatenate([[0], np.cumsum(np.asarray(pc.fill_null(lengths, 0)))]).astype(np.int32)
        flat = _values_of_type(values.flatten(), kind.value_type)
        return pa.ListArray.from_arrays(pa.array(offsets), flat, type=kind, mask=values.is_null())
    present = np.asarray(pc.fill_null(lengths, 0)) > 0
    places = np.where(present, np.cumsum(present) - 1, 0)
    return _values_of_type(values.flatten(), kind).take(pa.array(places, mask=~present))


def _values_of_type(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_large_binary(values.type):
        return pc.cast(values, kind)
    return pc.cast(values, kind, safe=False) if pa.types.is_floating(kind) else pc.cast(texts(values), kind)


def _decoded(path: str) -> Iterator[Batch]:
    """Some records at once, each feature lists of int64, float32 or large_binary; nulls where none has a value."""
    from tfx_bsl.coders import example_coder

    decoder = example_coder.ExamplesToRecordBatchDecoder()
    for run in _runs(path):
        try:
            yield Batch(decoder.DecodeBatch(run.records), tuple(run.damages))
            continue
        except RuntimeError:  # of the decoder, which is C++: one is no tf.Example, or they differ in a feature's kind
            pass
        for row, (record, offset) in enumerate(zip(run.records, run.offsets, strict=True)):
            damages = tuple(replace(one, row=0) for one in run.damages if one.row == row)
            try:
                yield Batch(decoder.DecodeBatch([record]), damages)
            except RuntimeError:
                wrong = Damage("the record is no tf.Example", 0, shown(record), offset=offset)
                yield Batch(decoder.DecodeBatch([b""]), (wrong,))
        yield Batch(decoder.DecodeBatch([]), tuple(one for one in run.damages if one.row is None))


@dataclass
class _Run:
    """Records at once, an empty one in the place of one that is damaged."""

    records: list[bytes] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    damages: list[Damage] = field(default_factory=list)


def _runs(path: str) -> Iterator[_Run]:
    run, size = _Run(), 0
    for offset, record, damage in _records(path):
        if damage is None or damage.row is not None:
            run.records.append(record)
            run.offsets.append(offset)
        if damage is not None:
            run.damages.append(damage if damage.row is None else replace(damage, row=len(run.records) - 1))
        size += len(record)
        if len(run.records) == _RECORDS or size >= _RUN_BYTES:
            yield run
            run, size = _Run(), 0
    if run.records or run.damages:
        yield run


def _records(path: str) -> Iterator[tuple[int, bytes, Damage | None]]:
    """(offset, record, damage) of each; the last may be damage alone, without a row: what comes instead of the rest."""
    offset = 0
    with streams.opened(path) as stream:
        while head := stream.read(12):
            if len(head) == 12 and not _matches(head[:8], head[8:]):
                rest = 12 + _left(stream)
                what = f"the length of the record is damaged: no other is found in the {rest:,} bytes from there on"
                yield offset, b"", Damage(what, offset=offset)
                return
            length = struct.unpack("<Q", head[:8])[0] if len(head) == 12 else 0
            body = stream.read(length + 4)
            if len(head) < 12 or len(body) < length + 4:
                break
            record, crc = body[:-4], body[-4:]
            damage = None
            if not _matches(record, crc):
                record, damage = b"", Damage("the checksum of the record is wrong", 0, shown(record), offset=offset)
            yield offset, record, damage
            offset += 16 + length
        if (reason := streams.broken(stream)) or head:
            what = f"{reason}: the rest is lost" if reason else "the file ends amid the record"
            yield offset, b"", Damage(what, offset=offset)


def _left(stream: io.BufferedReader) -> int:
    count = 0
    while read := stream.read(1 << 20):
        count += len(read)
    return count


def _is_text(values: pa.Array) -> bool:
    try:
        pc.cast(values, pa.string())
    except pa.ArrowInvalid:
        return False
    return True


def _matches(content: bytes, written: bytes) -> bool:
    """Whether this is the masked CRC32C that TFRecord writes behind what it is of."""
    crc = google_crc32c.value(content)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF) == written
