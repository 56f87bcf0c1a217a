"""How far a run has come, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tfloom.feature_specs import storage
from tfloom.pipeline import streams
from tfloom.pipeline.formats import parquet
from tfloom.pipeline.sources import Source

Report = Callable[[str, int, int | None], None]
"""Is told the phase, how many of its rows are done, and about how many there are; None where nobody knows."""

_SAMPLE = 8 << 20


def phase(report: Report | None, name: str, total: int | None) -> Callable[[int], None]:
    """Begin a phase; the function that comes back is to be told of every run of rows that is done."""
    done = 0

    def add(rows: int) -> None:
        nonlocal done
        done += rows
        if report is not None:
            # What is not yet done is guessed at: no more can be done than there is.
            report(name, done, None if total is None else max(total, done))

    add(0)
    return add


def about(sources: Sequence[Source]) -> int | None:
    """About how many rows sources have: Parquet and BigQuery say it, of a text the lines of its first 8 MiB do.

    None where there is a source of another format.
    """
    rows = [_about(source) for source in sources]
    return None if None in rows else sum(rows)  # type: ignore[arg-type]


def _about(source: Source) -> int | None:
    if source.stream is not None:
        return source.stream.rows
    if source.format == "parquet":
        with parquet.opened(source.path) as file:
            return int(file.metadata.num_rows)
    return None if source.format == "tfrecord" else _lines(source.path)


def _lines(path: str) -> int:
    with streams.opened(path) as stream:
        lines = stream.read(_SAMPLE).count(b"\n")
        return round(lines * storage.stat(path)[1] / max(streams.consumed(stream), 1))
