"""Raw data, wherever it lies, as chunks: fixed runs of rows, the same whoever reads them."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import DataError
from tfloom.pipeline.formats import Damage, bigquery, csv, jsonl, parquet, tfrecord

CHUNK_ROWS = 65_536

FORMATS: Mapping[str, ModuleType] = {
    "bigquery": bigquery, "parquet": parquet, "tfrecord": tfrecord, "jsonl": jsonl, "csv": csv,
}  # fmt: skip
"""By name, in the order in which a file is tried; see the package `formats`."""

_COMPRESSIONS = (".gz", ".gzip", ".zst", ".bz2")

Data = Any
"""Paths or globs of CSV, Parquet, JSON lines and TFRecord files, tables of BigQuery or files of SQL; or a pandas or
polars frame, a pyarrow Table or RecordBatches."""


@dataclass(frozen=True)
class Source:
    """One file of raw data, or one stream of a table.

    label: what its rows are called by, the shortest end of its path that no other source shares.
    format: one of FORMATS.
    split: the split its rows belong to, where the caller named it; `train+eval` where the spec's rule holds some of
      them out for eval.
    in_memory: whether it was put into a file for the job alone.
    stream: of the table that `path` names, where it is no file.
    """

    index: int
    path: str
    label: str
    format: str
    split: str | None = None
    in_memory: bool = False
    stream: bigquery.Stream | None = None

    @property
    def at(self) -> str | bigquery.Stream:
        """What its format reads."""
        return self.stream or self.path

    @property
    def folder(self) -> str:
        """Where relative paths in its rows start; that of the job where it is no file."""
        return "" if self.in_memory or self.stream else os.path.dirname(self.path)

    @property
    def place(self) -> str:
        """Where a person finds it: its path, unless it has none."""
        return "data in memory" if self.in_memory else self.path


@dataclass(frozen=True)
class Chunk:
    """A run of rows of one source. rows: as its format reads them; CSV in text, null where empty."""

    source: Source
    number: int
    first_row: int
    rows: pa.RecordBatch
    damages: tuple[Damage, ...] = ()

    @property
    def sound(self) -> pa.RecordBatch:
        """The rows that are not damaged."""
        damaged = [one.row for one in self.damages if one.row is not None]
        if not damaged:
            return self.rows
        kept = np.ones(self.rows.num_rows, bool)
        kept[damaged] = False
        return self.rows.filter(pa.array(kept))


def find(
    named: Mapping[str | None, Data], staging: Path, known: Sequence[str] = (), columns: Sequence[str] | None = None
) -> tuple[Source, ...]:
    """The sources of data given by split (None: the spec's rule says). In-memory data is put into `staging`.

    Where train is named and eval is not, the spec's rule holds rows of train out for it.

    known: labels that sources got before, kept for the same files.
    columns: all that will be read, where that is known: no other is asked of a table.

    Raises:
      DataError: where there is no such file, or one is named twice.
    """
    paths = [(split, path) for split, data in named.items() for path in _paths(data, staging, split or "memory")]
    _each_once([path for _, path in paths])
    everything = [PurePosixPath(path).parts for _, path in paths]
    longest_first = sorted(known, key=len, reverse=True)
    sources: list[Source] = []
    for index, (split, path) in enumerate(paths):
        parts = everything[index]
        ends = {"/".join(parts[-n:]) for n in range(1, len(parts) + 1)}
        label = next((one for one in longest_first if one in ends), None)
        depth = 1
        while label is None and depth < len(parts) and sum(p[-depth:] == parts[-depth:] for p in everything) > 1:
            depth += 1
        rule = "train+eval" if split == "train" and "eval" not in named else split
        in_memory = Path(path).parent == staging
        label, format_ = label or "/".join(parts[-depth:]), _format(path)
        if format_ != "bigquery":
            sources.append(Source(len(sources), path, label, format_, rule, in_memory))
            continue
        for number, stream in enumerate(bigquery.streams(path, columns)):
            sources.append(Source(len(sources), path, f"{label}/{number}", format_, rule, stream=stream))
    return tuple(sources)


def schema(source: Source) -> pa.Schema:
    """The columns of a source; those of CSV are text.

    Raises:
      DataError: where it cannot be read, or two of its columns have one name.
    """
    try:
        found: pa.Schema = FORMATS[source.format].schema(source.at)
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(source.place, error) from error
    for name in found.names:
        if found.names.count(name) > 1:
            raise DataError(f"{source.place}: has two columns {name!r}", expected="a name of its own for each column",
                            received=", ".join(found.names)[:300])  # fmt: skip
    return found


def chunks(source: Source, columns: Sequence[str] | None = None, at_most: int | None = None) -> Iterator[Chunk]:
    """The rows of a source in order, `at_most` (else CHUNK_ROWS) and about `formats.CHUNK_BYTES` at once.

    Of `columns` those that it has; all, where it has none of them.
    """
    size = at_most or CHUNK_ROWS
    first_row = 0
    try:
        if columns is not None:
            names = FORMATS[source.format].schema(source.at).names
            columns = [name for name in columns if name in names] or None
        for number, (rows, damages) in enumerate(FORMATS[source.format].batches(source.at, columns, size)):
            yield Chunk(source, number, first_row, rows, damages)
            first_row += rows.num_rows
    except (OSError, pa.ArrowInvalid) as error:
        raise _unreadable(source.place, error) from error


def absolute(source: Source) -> Source:
    """A worker may run in another folder than we do."""
    return source if "://" in source.path else dataclasses.replace(source, path=os.path.abspath(source.path))


def _each_once(paths: Sequence[str]) -> None:
    for path, times in Counter(os.path.realpath(path) for path in paths).items():
        if times > 1:
            raise DataError(f"{path}: is named {times} times", expected="each file once, in one split",
                            received=", ".join(paths)[:300])  # fmt: skip


def files(pattern: str | Path) -> list[str]:
    """The files of a path or a glob. Raises DataError where there is none."""
    text = storage.named(pattern)
    try:
        found = storage.glob(text)
        none = next((path for path in found or [text] if not storage.is_file(path)), None)
    except OSError as error:
        raise _unreadable(text, error) from error
    if none is not None:
        raise DataError(f"{none}: {'there is no such file' if found else 'no file matches'}",
                        expected="a CSV, Parquet, JSON lines or TFRecord file, or a glob of them",
                        received="a folder" if storage.is_folder(none) else "nothing")  # fmt: skip
    return found


def _paths(data: Data, staging: Path, name: str) -> list[str]:
    if isinstance(data, str | Path):
        text = storage.named(data)
        return [text] if text.startswith(bigquery.SCHEME) else files(text)
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


def _format(path: str) -> str:
    """By its content, which its name may not say; by its name where the content is damaged, or there is none."""
    try:
        found = next(name for name, one in FORMATS.items() if one.is_one(path))
    except OSError as error:
        raise _unreadable(path, error) from error
    if found != "csv":
        return found
    plain = path.lower()
    for ending in _COMPRESSIONS:
        plain = plain.removesuffix(ending)
    return next((name for name, one in FORMATS.items() if plain.endswith(one.ENDINGS)), found)


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


def _unreadable(place: str, error: Exception) -> DataError:
    return DataError(
        f"{place}: cannot be read",
        expected="a CSV file with a header, Parquet, JSON lines, or TFRecord of tf.Example",
        received=str(error).splitlines()[0],
    )
