"""Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from tfloom.feature_specs import storage
from tfloom.feature_specs.numbers import is_text
from tfloom.pipeline.formats import CHUNK_BYTES, Batch, Damage, decoded

ENDINGS = (".parquet",)

_BUFFER_BYTES = 256 << 10
"""Read of a column at once. Arrow would keep the columns of the whole file in memory, to ask a distant disk seldom."""

_FIRST = 256
"""Rows that are looked at to tell how large a row is."""


def is_one(path: str) -> bool:
    """By its first bytes."""
    with storage.opened(path) as file:
        return file.read(4) == b"PAR1"


def schema(path: str) -> pa.Schema:
    """The columns, their types made plain."""
    with opened(path) as file:
        return pa.schema([pa.field(field.name, plain(field.type)) for field in file.schema_arrow])


def opened(path: str) -> pq.ParquetFile:
    """The file, to be closed."""
    where, file_system = storage.arrow(path)
    return pq.ParquetFile(where, filesystem=file_system, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def plain(kind: pa.DataType) -> pa.DataType:
    """One type for those that mean the same, so that a polars frame reads as a pandas one does."""
    if pa.types.is_dictionary(kind):
        return plain(kind.value_type)
    if is_text(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(plain(kind.value_type))
    return kind


def batches(path: str, columns: Sequence[str] | None, size: int) -> Iterator[Batch]:
    """See the package."""
    with opened(path) as file:
        names = None if columns is None else list(columns)
        for batch in file.iter_batches(_fitting(file, names, size), columns=names):
            arrays: list[pa.Array] = []
            damages: list[Damage] = []
            for name, values in zip(batch.schema.names, batch.columns, strict=True):
                kind = plain(values.type)
                if pa.types.is_string(kind):  # which nobody has checked
                    values, wrong = decoded(name, values.cast(kind).cast(pa.binary()))
                    damages += wrong
                arrays.append(values.cast(kind))
            yield Batch(pa.RecordBatch.from_arrays(arrays, batch.schema.names), tuple(damages))


def _fitting(file: pq.ParquetFile, columns: Sequence[str] | None, size: int) -> int:
    """How many rows are about CHUNK_BYTES, at most `size`: by the file's own account, and by its first rows.

    The file counts a repeated value of a dictionary once, and all columns; the first rows may be small ones.
    """
    rows = max(file.metadata.num_rows, 1)
    bytes_ = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
    fitting = max(1, min(size, CHUNK_BYTES * rows // max(bytes_, 1)))
    first = next(file.iter_batches(min(fitting, _FIRST), columns=columns), None)
    return fitting if not first else max(1, min(fitting, CHUNK_BYTES * len(first) // max(first.nbytes, 1)))
