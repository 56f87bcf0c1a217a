"""The formats of raw data, one file each.

A format says `is_one(path)`, whether a file looks like it, and `ENDINGS`, what its name ends with where it no longer
does; `schema(path)`, the columns of a file; and `batches(path, columns, size)`, its rows in order: some of the columns
or all, at most `size` rows at once and about CHUNK_BYTES, with the damage met among them. Where a row has a line or an
offset, PLACE says which, and `places(path, rows, records)` those of these rows, and of these records of Damage. What is
no file has something else in place of its path.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Damage:
    """What is no row, or a row that cannot be used.

    reason: why.
    row: its place among the rows of the batch; None where it has none there.
    shown: what was found, or as much of it as a person needs; None where the row itself shows it.
    column: the one at fault.
    record: by which its line is found: a number that its format counts.
    offset: where it begins, in bytes of the file as decompressed.
    """

    reason: str
    row: int | None = None
    shown: str | None = None
    column: str | None = None
    record: int | None = None
    offset: int | None = None


class Batch(NamedTuple):
    """Rows, and what is damaged of them or between them."""

    rows: pa.RecordBatch
    damages: tuple[Damage, ...] = ()


def shown(found: str | bytes) -> str:
    """As much of a damaged record as a person needs."""
    text = found if isinstance(found, str) else found[:4_000].decode("utf-8", "backslashreplace")
    return text[:1_000]


def decoded(name: str, values: pa.Array) -> tuple[pa.Array, list[Damage]]:
    """Binary values as text, and the rows where they are none: there every other byte is written out."""
    try:
        return values.cast(pa.string()), []
    except pa.ArrowInvalid:
        each = [value and value.decode("utf-8", "backslashreplace") for value in values.to_pylist()]
        texts = pa.array(each, pa.string())
        return texts, found_in(pc.not_equal(texts.cast(pa.binary()), values), name, "is no UTF-8")


def found_in(rows: pa.Array, name: str, what: str) -> list[Damage]:
    """What is wrong with a column in these rows, bool [rows]."""
    wrong = np.flatnonzero(pc.fill_null(rows, False).to_numpy(zero_copy_only=False))
    return [Damage(f"{name} {what}", int(row), column=name) for row in wrong]


def regrouped(batches: Iterable[Batch], size: int, schema: pa.Schema) -> Iterator[Batch]:
    """The same rows, `size` at once or fewer where those read have CHUNK_BYTES, or as many are damaged."""
    waiting: list[pa.RecordBatch] = []
    damages: list[Damage] = []
    count = 0
    for rows, met in batches:
        damages += (one if one.row is None else replace(one, row=one.row + count) for one in met)
        if rows.num_rows:
            waiting.append(rows)
            count += rows.num_rows
        while max(count, len(damages)) >= size or (count and sum(one.nbytes for one in waiting) >= CHUNK_BYTES):
            table = pa.Table.from_batches(waiting, schema)
            taken = min(size, count)
            yield Batch(_one(table.slice(0, taken)), tuple(d for d in damages if d.row is None or d.row < taken))
            waiting = table.slice(taken).to_batches()
            count -= taken
            damages = [replace(d, row=d.row - taken) for d in damages if d.row is not None and d.row >= taken]
    if count or damages:
        yield Batch(_one(pa.Table.from_batches(waiting, schema)), tuple(damages))


def _one(table: pa.Table) -> pa.RecordBatch:
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.RecordBatch.from_pylist([], table.schema)
