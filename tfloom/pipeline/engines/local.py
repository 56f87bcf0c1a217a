"""tf.Transform on this machine, without Beam: large batches, threads, the same graphs and combiners.

Rows are read and ingested once. What was parsed lies on disk for the passes that follow, one for each phase of the
analysis and one that transforms; memory holds a few chunks, however many rows there are. Chunks are worked on side by
side, but their states are merged in the order of the data: what is learned does not depend on the number of threads.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
import shutil
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from tfloom.feature_specs.directories import Form
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import progress
from tfloom.pipeline.engines.analysis import Phase, analyze
from tfloom.pipeline.engines.steps import Transform, parse, place_of, training_rows
from tfloom.pipeline.graph_inputs import adapter_config
from tfloom.pipeline.in_order import in_order
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.progress import Report
from tfloom.pipeline.sources import Chunk, Source, chunks


def run(
    spec: FeatureSpec,
    sources: Sequence[Source],
    folder: str,
    threads: int,
    memory_limit: int,
    form: Form,
    report: Report | None = None,
) -> None:
    """Materialise `sources` by a resolved spec into `folder`: transform_fn, examples, accounts, rejected.

    memory_limit: bytes that the vocabularies may take while they are counted. report: is told how far the run has come.

    Raises:
      UnknownAnalyzerError: where only Beam can learn what the spec asks for, before anything is learned.
    """
    for name in ("examples", "accounts", "rejected", "parsed"):
        os.makedirs(f"{folder}/{name}", exist_ok=True)
    parsed = _Parsed(spec, sources, folder, threads, report)
    with parsed.being_read():
        analyze(preprocessing_fn(spec), adapter_config(spec), folder, memory_limit, parsed.passed)
    transform = Transform(spec, folder, form)
    files = parsed.files()
    done = progress.phase(report, "transforming", sum(files.values()))
    for rows, _ in zip(files.values(), in_order(transform, files, threads), strict=True):
        done(rows)
    shutil.rmtree(f"{folder}/parsed")


class _Parsed:
    """The parsed rows of all chunks, a file each: they are read and ingested once."""

    def __init__(
        self, spec: FeatureSpec, sources: Sequence[Source], folder: str, threads: int, report: Report | None
    ) -> None:
        self.spec, self.sources, self.folder, self.threads, self.report = spec, sources, folder, threads, report
        self._reading: concurrent.futures.Future[dict[str, int]] | None = None
        self._files: dict[str, int] | None = None
        self._given_up = False
        self._passes = 0

    @contextlib.contextmanager
    def being_read(self) -> Iterator[None]:
        """Read them while the graph is traced, which takes seconds of one thread; what fails is raised by `files`."""
        if self.threads == 1:
            yield
            return
        with concurrent.futures.ThreadPoolExecutor(1) as aside:
            self._reading = aside.submit(self._read)
            try:
                yield
            except BaseException:
                self._given_up = True
                raise

    def files(self) -> dict[str, int]:
        """Their paths, in the order of the data, and how many rows each has."""
        if self._files is None:
            self._files = self._reading.result() if self._reading else self._read()
        return self._files

    def _read(self) -> dict[str, int]:
        files: dict[str, int] = {}
        done = progress.phase(self.report, "reading", progress.about(self.sources))
        for read, path, rows in in_order(self._parse, self._chunks(), self.threads):
            done(read)
            if path is not None:
                files[path] = rows
        # What Arrow keeps for itself is of no use to TensorFlow, which learns and transforms.
        pa.default_memory_pool().release_unused()
        return files

    def passed(self, phase: Phase) -> list[Any]:
        """The states of all training rows."""
        files = self.files()
        self._passes += 1
        name = "learning" if self._passes == 1 else f"learning, pass {self._passes}"
        done = progress.phase(self.report, name, sum(files.values()))

        def of_chunk(path: str) -> list[Any] | None:
            rows = training_rows(path)
            return phase.states(rows) if rows.num_rows else None

        def of_chunks() -> Iterator[tuple[int, int, list[Any]]]:
            each = in_order(of_chunk, files, self.threads)
            for (path, rows), states in zip(files.items(), each, strict=True):
                if states is not None:
                    yield *place_of(path), states
                done(rows)

        # Without any row something is learned all the same; that there was none is told when all rows are counted.
        return phase.total(of_chunks()) or phase.states(pa.RecordBatch.from_pylist([], phase.graph.schema))

    def _chunks(self) -> Iterator[Chunk]:
        for one in self.sources:
            for chunk in chunks(one, self.spec.columns_read, self.spec.chunk_rows):
                if self._given_up:
                    return
                yield chunk

    def _parse(self, chunk: Chunk) -> tuple[int, str | None, int]:
        """(rows read, path of the parsed ones, how many they are)"""
        path, rows, _ = parse(self.spec, chunk, self.folder)
        return chunk.rows.num_rows, path, rows
