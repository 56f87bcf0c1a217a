"""CSV: text, with a header and any number of lines to a record."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

BLOCK = 4 << 20
"""Bytes parsed at once; a row has to fit into them."""


def is_one(path: str) -> bool:
    """Whatever is no file of another format."""
    return True


def schema(path: str) -> pa.Schema:
    """The columns of the header, all of them text."""
    return pa.schema([pa.field(_trimmed(name), pa.string()) for name in _header(path)])


def batches(
    path: str, columns: Sequence[str] | None, size: int, malformed: list[tuple[int, str]]
) -> Iterator[pa.RecordBatch]:
    """See the package."""
    with _open_csv(path, malformed, columns) as reader:
        names = [_trimmed(name) for name in reader.schema.names]
        waiting: list[pa.RecordBatch] = []
        for batch in reader:
            waiting.append(pa.RecordBatch.from_arrays([_without_spaces(c) for c in batch.columns], names))
            while sum(b.num_rows for b in waiting) >= size:
                table = pa.Table.from_batches(waiting)
                yield _one_batch(table.slice(0, size))
                waiting = table.slice(size).to_batches()
        if any(batch.num_rows for batch in waiting):
            yield _one_batch(pa.Table.from_batches(waiting))


def line_numbers(
    path: str, rows: Collection[int], malformed: Collection[int] = ()
) -> tuple[dict[int, int], dict[int, int]]:
    """The lines, counted from 1, on which these rows of a CSV file begin; and these malformed records."""
    of_rows: dict[int, int] = {}
    of_records: dict[int, int] = {}
    csv.field_size_limit(max(csv.field_size_limit(), BLOCK))  # what was read once, of more than 128 KiB too
    with pa.input_stream(path, compression="detect") as stream:
        reader = csv.reader(io.TextIOWrapper(stream, "utf-8", "replace", newline=""))
        row, record, fields, line = -1, 0, 0, 1
        for values in reader:
            if values:  # a blank line is no record
                record += 1
                fields = fields or len(values)
                if len(values) == fields:
                    if row in rows:
                        of_rows[row] = line
                    row += 1
                elif record in malformed:
                    of_records[record] = line
            line = reader.line_num + 1
    return of_rows, of_records


def _open_csv(path: str, malformed: list[tuple[int, str]], columns: Sequence[str] | None = None) -> Any:
    def on_malformed(row: Any) -> str:
        malformed.append((row.number, row.text))
        return "skip"

    # The header as it is written, so that a name with spaces around it is found by its own name.
    names = _header(path)
    wanted = [name for name in names if columns is None or _trimmed(name) in columns]
    return pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=on_malformed, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
            include_columns=wanted,
        ),
    )


def _header(path: str) -> list[str]:
    with pyarrow.csv.open_csv(
        path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=BLOCK),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=lambda row: "skip", newlines_in_values=True),
    ) as reader:
        return list(reader.schema.names)


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def _without_spaces(values: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _trimmed(name: str) -> str:
    return name.strip("\ufeff \t")
