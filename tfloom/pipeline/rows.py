"""Raw data as parsed rows, for those who do not materialise it: verify, evaluate, predict, transform."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tfloom.feature_specs.errors import DataError, nearest
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.ingest import Ingested, ingest
from tfloom.pipeline.resolve import check_columns
from tfloom.pipeline.sources import Chunk, Data, Source, chunks, find, schema


@contextlib.contextmanager
def opened(
    data: Data | Mapping[str, Data], columns: Sequence[str] | None = None, known: Sequence[str] = ()
) -> Iterator[tuple[Source, ...]]:
    """The sources of data, or of data by split; what lies in memory is there as a file for as long.

    columns, known: see sources.find.
    """
    by_split: dict[Any, Data] = dict(data) if isinstance(data, Mapping) else {None: data}
    with tempfile.TemporaryDirectory() as scratch:
        yield find(by_split, Path(scratch), known, columns)


def parsed(
    spec: FeatureSpec, sources: Sequence[Source], labelled: bool = True, keep: Sequence[str] = ()
) -> Iterator[tuple[Chunk, Ingested]]:
    """The rows of sources, chunk by chunk, as they lie in the data and parsed by a resolved spec.

    labelled: see ingest; without it only inputs are read. keep: other columns of the data wanted in the chunks.

    Raises:
      DataError: where a source lacks a column.
    """
    wanted = read(spec, sources, labelled, keep)
    for source in sources:
        for chunk in chunks(source, wanted, spec.chunk_rows):
            yield chunk, ingest(spec, chunk, labelled)


def read(spec: FeatureSpec, sources: Sequence[Source], labelled: bool = True, keep: Sequence[str] = ()) -> list[str]:
    """The columns that `parsed` reads of sources. Raises DataError where a source lacks one."""
    names = spec.data_names if labelled else spec.input_sources
    check_columns(spec, sources, names)
    for source in sources:
        known = schema(source).names
        for name in keep:
            if name not in known:
                raise DataError(
                    f"{source.place}: has no column {name!r}", expected=nearest(name, known), received=repr(name)
                )
    return list(dict.fromkeys([*names, *keep]))


def present(sources: Sequence[Source], names: Sequence[str]) -> tuple[str, ...]:
    """Those of these columns that every source has."""
    known = [schema(source).names for source in sources]
    return tuple(name for name in names if all(name in of for of in known))


def raw(chunk: Chunk, done: Ingested) -> pa.RecordBatch:
    """The rows of the chunk, as they lie in the data, that the parsed ones came from."""
    return chunk.rows.take(pa.array(done.positions))


def reasons(chunk: Chunk, done: Ingested) -> dict[int, str]:
    """By position in the chunk, why a row was rejected. Malformed lines have no position."""
    told = ((str(row["origin"]).rpartition(":")[2], row["reason"]) for row in done.rejected)
    return {int(row) - chunk.first_row: reason for row, reason in told if row.isdigit()}
