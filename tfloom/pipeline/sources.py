"""Raw data, wherever it lies, as chunks: fixed runs of rows, the same whoever reads them."""

from __future__ import annotations

import csv
import glob
import io
import os
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq

from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.numbers import is_text

CHUNK_ROWS = 65_536
CHUNK_BYTES = 64 << 20
CSV_BLOCK = 4 << 20
"""Bytes of CSV parsed at once; a row has to fit into one."""

Data = Any
"""Paths or globs of CSV and Parquet files; or a pandas or polars frame, a pyarrow Table or RecordBatches."""


@dataclass(frozen=True)
class Source:
    """One file of raw data.

    label: what its rows are called by, the shortest end of its path that no other source shares.
    is_csv: else it is Parquet.
    split: the split its rows belong to, where the caller named it; `train+eval` where the spec's rule holds some of
      them out for eval.
    in_memory: whether it was put into a file for the job alone.
    """

    index: int
    path: str
    label: str
    is_csv: bool
    split: str | None = None
    in_memory: bool = False

    @property
    def place(self) -> str:
        """Where a person finds it: its path, unless it has none."""
        return "data in memory" if self.in_memory else self.path


@dataclass(frozen=True)
class Chunk:
    """A run of rows of one source. rows: as they lie in the data (see `plain`), CSV in text, null where empty."""

    source: Source
    number: int
    first_row: int
    rows: pa.RecordBatch
    malformed: tuple[tuple[int, str], ...] = field(default=())
    """(record, text) of CSV records that have another number of fields than the header, met while reading this chunk;
    records are counted from 1, the header among them and blank lines not."""


def find(named: Mapping[str | None, Data], staging: Path, known: Sequence[str] = ()) -> tuple[Source, ...]:
    """The sources of data given by split (None: the spec's rule says). In-memory data is put into `staging`.

    Where train is named and eval is not, the spec's rule holds rows of train out for it.

    known: labels that sources got before, kept for the same files.

    Raises:
      DataError: where there is no such file, or one is named twice.
    """
    paths = [(split, path) for split, data in named.items() for path in _paths(data, staging, split or "memory")]
    _each_once([path for _, path in paths])
    everything = [PurePosixPath(path).parts for _, path in paths]
    longest_first = sorted(known, key=len, reverse=True)
    sources = []
    for index, (split, path) in enumerate(paths):
        parts = everything[index]
        ends = {"/".join(parts[-n:]) for n in range(1, len(parts) + 1)}
        label = next((one for one in longest_first if one in ends), None)
        depth = 1
        while label is None and depth < len(parts) and sum(p[-depth:] == parts[-depth:] for p in everything) > 1:
            depth += 1
        rule = "train+eval" if split == "train" and "eval" not in named else split
        in_memory = Path(path).parent == staging
        sources.append(Source(index, path, label or "/".join(parts[-depth:]), not _is_parquet(path), rule, in_memory))
    return tuple(sources)


def schema(source: Source) -> pa.Schema:
    """The columns of a source; those of CSV are text.

    Raises:
      DataError: where it cannot be read, or two of its columns have one name.
    """
    try:
        if source.is_csv:
            found = pa.schema([pa.field(_trimmed(name), pa.string()) for name in _header(source)])
        else:
            found = pa.schema([pa.field(field.name, plain(field.type)) for field in pq.read_schema(source.path)])
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(source, error) from error
    for name in found.names:
        if found.names.count(name) > 1:
            raise DataError(f"{source.place}: has two columns {name!r}", expected="a name of its own for each column",
                            received=", ".join(found.names)[:300])  # fmt: skip
    return found


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


def chunks(source: Source, columns: Sequence[str] | None = None, at_most: int | None = None) -> Iterator[Chunk]:
    """The rows of a source in order, `at_most` (else CHUNK_ROWS) and about CHUNK_BYTES at once."""
    size = at_most or CHUNK_ROWS
    number = first_row = 0
    malformed: list[tuple[int, str]] = []
    batches = (
        _csv_batches(source, columns, size, malformed) if source.is_csv else _parquet_batches(source, columns, size)
    )
    try:
        for rows in batches:
            yield Chunk(source, number, first_row, rows, tuple(malformed))
            malformed.clear()
            first_row += rows.num_rows
            number += 1
        if malformed:  # met after the last row, or in a file that has no other
            nothing = schema(source).empty_table()
            none = (nothing if columns is None else nothing.select(columns)).combine_chunks()
            yield Chunk(source, number, first_row, pa.RecordBatch.from_pylist([], none.schema), tuple(malformed))
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(source, error) from error


def line_numbers(
    source: Source, rows: Collection[int], malformed: Collection[int] = ()
) -> tuple[dict[int, int], dict[int, int]]:
    """The lines, counted from 1, on which these rows of a CSV file begin; and these malformed records."""
    of_rows: dict[int, int] = {}
    of_records: dict[int, int] = {}
    csv.field_size_limit(max(csv.field_size_limit(), CSV_BLOCK))  # what was read once, of more than 128 KiB too
    with pa.input_stream(source.path, compression="detect") as stream:
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


def _each_once(paths: Sequence[str]) -> None:
    for path, times in Counter(os.path.realpath(path) for path in paths).items():
        if times > 1:
            raise DataError(f"{path}: is named {times} times", expected="each file once, in one split",
                            received=", ".join(paths)[:300])  # fmt: skip


def _paths(data: Data, staging: Path, name: str) -> list[str]:
    if isinstance(data, str | Path):
        text = str(data)
        found = sorted(glob.glob(text)) if glob.has_magic(text) else [text]
        if not found or not Path(found[0]).is_file():
            what = "no file matches" if glob.has_magic(text) else "there is no such file"
            raise DataError(f"{text}: {what}", expected="a CSV or Parquet file, or a glob of them",
                            received="a folder" if Path(text).is_dir() else "nothing")  # fmt: skip
        return found
    table = _table(data)
    if table is not None:
        path = staging / f"{name}.parquet"
        pq.write_table(table, path)
        return [str(path)]
    if isinstance(data, Sequence) and data and all(isinstance(item, str | Path) for item in data):
        return [path for item in data for path in _paths(item, staging, name)]
    raise DataError("data: is of no kind that can be read",
                    expected="paths, a pandas or polars frame, a pyarrow Table or RecordBatches",
                    received=type(data).__name__)  # fmt: skip


def _is_parquet(path: str) -> bool:
    with open(path, "rb") as file:
        return file.read(4) == b"PAR1"


def _table(data: Data) -> pa.Table | None:
    if isinstance(data, pa.Table):
        return data
    if isinstance(data, pa.RecordBatch):
        return pa.Table.from_batches([data])
    if isinstance(data, Sequence) and data and all(isinstance(item, pa.RecordBatch) for item in data):
        try:
            return pa.Table.from_batches(data)
        except pa.ArrowInvalid as error:
            raise DataError("data: the RecordBatches differ in their columns", expected="one schema",
                            received=" ".join(str(error).split())) from None  # fmt: skip
    module = type(data).__module__.partition(".")[0]
    if module == "pandas":
        try:
            return pa.Table.from_pandas(data, preserve_index=False)
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DataError("data: a column of the frame mixes values", expected="values of one type in each column",
                            received="; ".join(map(str, error.args))) from None  # fmt: skip
    return data.to_arrow() if module == "polars" else None


def _open_csv(source: Source, malformed: list[tuple[int, str]], columns: Sequence[str] | None = None) -> Any:
    def on_malformed(row: Any) -> str:
        malformed.append((row.number, row.text))
        return "skip"

    # The header as it is written, so that a name with spaces around it is found by its own name.
    names = _header(source)
    wanted = [name for name in names if columns is None or _trimmed(name) in columns]
    return pyarrow.csv.open_csv(
        source.path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=on_malformed, newlines_in_values=True),
        convert_options=pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            strings_can_be_null=True,
            null_values=[""],
            include_columns=wanted,
        ),
    )


def _header(source: Source) -> list[str]:
    with pyarrow.csv.open_csv(
        source.path,
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=CSV_BLOCK),
        parse_options=pyarrow.csv.ParseOptions(invalid_row_handler=lambda row: "skip", newlines_in_values=True),
    ) as reader:
        return list(reader.schema.names)


def _csv_batches(
    source: Source, columns: Sequence[str] | None, size: int, malformed: list[tuple[int, str]]
) -> Iterator[pa.RecordBatch]:
    with _open_csv(source, malformed, columns) as reader:
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


def _parquet_batches(source: Source, columns: Sequence[str] | None, size: int) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(source.path) as file:
        rows = max(file.metadata.num_rows, 1)
        bytes_ = sum(file.metadata.row_group(i).total_byte_size for i in range(file.metadata.num_row_groups))
        fitting = max(1, min(size, CHUNK_BYTES * rows // max(bytes_, 1)))
        for batch in file.iter_batches(fitting, columns=None if columns is None else list(columns)):
            yield batch.cast(pa.schema([pa.field(field.name, plain(field.type)) for field in batch.schema]))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def _without_spaces(values: pa.Array) -> pa.Array:
    trimmed = pc.utf8_trim_whitespace(values)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed)


def _trimmed(name: str) -> str:
    return name.strip("\ufeff \t")


def _unreadable(source: Source, error: Exception) -> DataError:
    return DataError(f"{source.place}: cannot be read", expected="a CSV file with a header, or a Parquet file",
                     received=str(error).splitlines()[0])  # fmt: skip
