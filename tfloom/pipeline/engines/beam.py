"""Our own analysis on a Beam runner: one pipeline, whose steps depend on the number of phases and not on the columns.

Chunks are parsed once; what was parsed, the vocabularies and the graph lie in the folder of the job, which all workers
reach, and between the steps go the paths of chunks and the states of accumulators. These are merged in the order and by
the blocks that the local engine merges them by, whichever worker made them. Every file is written whole, under a name
that the data gives it: a bundle that runs twice, one after the other or at once, writes the same files twice.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
from apache_beam.utils.shared import Shared

from tfloom.feature_specs.directories import Form
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.engines import beam_job
from tfloom.pipeline.engines.analysis import BLOCK, Accumulator, Analysis, Learned, Phase, closed
from tfloom.pipeline.engines.counts import Counted, Room, by_entry, pieces
from tfloom.pipeline.engines.steps import Transform, parse, place_of, training_rows
from tfloom.pipeline.graph_inputs import adapter_config
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.shards import remove_parts, write_whole
from tfloom.pipeline.sources import Source, chunks

One = TypeVar("One")

READ, INGEST, WRITE_GRAPH, TRANSFORM = "Read", "Ingest", "Write graph", "Transform and write"
LEARN = "Learn {}"
"""Of each phase, from 1 on; within it are COUNT, MERGE_BLOCKS, MERGE and CONCLUDE."""
COUNT, MERGE_BLOCKS, MERGE, CONCLUDE = "Count", "Merge blocks", "Merge", "Conclude"

PARTITIONS = 16
"""Of the entries of a vocabulary, which are merged side by side."""

_MEMORY = 1 << 30
"""Bytes that a worker may take to merge vocabularies; what is more lies on its disk."""

_NOWHERE = Room(0, "")
"""For states that are not merged."""

_FOLDERS = ("examples", "accounts", "rejected", "parsed", "analysis", "transform_fn", "transformed_metadata")


def run(
    spec: FeatureSpec,
    sources: Sequence[Source],
    folder: str,
    form: Form,
    running: contextlib.AbstractContextManager[beam.Pipeline],
) -> None:
    """Materialise `sources` by a resolved spec into `folder`: transform_fn, examples, accounts, rejected.

    running: the pipeline to build, which on leaving runs: `beam_job.Run(...).pipeline()`.

    Raises:
      UnknownAnalyzerError: where only tf.Transform's own pipeline can learn what the spec asks for; nothing has run.
    """
    for name in _FOLDERS:
        tf.io.gfile.makedirs(f"{folder}/{name}")
    job = Job(spec, folder, form)
    try:
        with running as root:
            build(root, job, sources)
    finally:
        job.made().clear()  # a runner may have worked in this process, and Beam keeps what is shared


def clear(folder: str) -> None:
    """Remove what the steps of a job that has ended kept in its folder for each other."""
    for name in ("parsed", "analysis"):
        if tf.io.gfile.isdir(f"{folder}/{name}"):
            tf.io.gfile.rmtree(f"{folder}/{name}")
    for name, *_ in tf.io.gfile.walk(folder):
        remove_parts(name)


@dataclass(frozen=True)
class Job:
    """What every worker is told. folder: one that all of them reach."""

    spec: FeatureSpec
    folder: str
    form: Form
    _made: Shared = field(default_factory=Shared)

    def analysis(self) -> Analysis:
        """Of the spec: traced once in a process."""
        return self.made().once("analysis", self._analysis)

    def phase(self, number: int, learned: Learned) -> Phase:
        """Its graph is made once in a process, its tables with it."""
        return self.made().once("graph", lambda: self.analysis().phase(number, learned, _NOWHERE), number)

    def transform(self) -> Transform:
        """Loaded once in a process."""
        return self.made().once("graph", lambda: Transform(self.spec, self.folder, self.form))

    def made(self) -> _Made:
        """What this process has made of it."""
        made: _Made = self._made.acquire(_Made)
        return made

    def _analysis(self) -> Analysis:
        scratch = tempfile.mkdtemp()
        analysis = Analysis(preprocessing_fn(self.spec), adapter_config(self.spec), scratch)
        weakref.finalize(analysis, shutil.rmtree, scratch, ignore_errors=True)
        return analysis


class _Made:
    """What threads of a process share: under a name one thing at a time, the last that was asked for."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._things: dict[str, tuple[Any, Any]] = {}

    def once(self, name: str, make: Callable[[], One], of: Any = None) -> One:
        """What `make` made. of: what tells it from others of its name."""
        with self._lock:
            if name not in self._things or self._things[name][0] != of:
                self._things.pop(name, None)
                self._things[name] = of, make()
            thing: One = self._things[name][1]
            return thing

    def clear(self) -> None:
        """Let go of everything."""
        self._things.clear()


def build(root: beam.Pipeline, job: Job, sources: Sequence[Source]) -> None:
    """Put the job's steps into a pipeline."""
    analysis = job.analysis()
    read = root | READ >> beam.Create(list(sources), reshuffle=True)
    # Spread anew: one file may have many chunks. A chunk is its path here, so that this costs next to nothing.
    parsed = read | INGEST >> beam.ParDo(_Ingest(job)) | "Spread" >> beam.Reshuffle()
    learned = root | "Begin" >> beam.Create([{}])
    for number in range(analysis.phases):
        learned = parsed | LEARN.format(number + 1) >> _Learn(job, number, learned)
    written = learned | WRITE_GRAPH >> beam.ParDo(_WriteGraph(job))
    _ = parsed | TRANSFORM >> beam.ParDo(_Transform(job), beam.pvalue.AsSingleton(written))


class _Learn(beam.PTransform):
    """Paths of chunks -> what the phases up to this one have learned."""

    def __init__(self, job: Job, number: int, learned: Any) -> None:
        super().__init__()
        self.job, self.number, self.learned = job, number, learned

    def expand(self, parsed: Any) -> Any:
        accumulators = self.job.analysis().accumulators(self.number, _NOWHERE)
        merged = (
            parsed
            | COUNT >> beam.ParDo(_Count(self.job, self.number), beam.pvalue.AsSingleton(self.learned))
            | "By block" >> beam.GroupByKey()
            | MERGE_BLOCKS >> beam.ParDo(_MergeBlock(accumulators))
            | "By accumulator" >> beam.GroupByKey()
            | MERGE >> beam.ParDo(_Merge(accumulators))
        )
        conclude = _Conclude(self.job, self.number)
        return self.learned | CONCLUDE >> beam.ParDo(conclude, beam.pvalue.AsIter(merged))


class _Ingest(beam.DoFn):
    """A source -> the paths of its chunks."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, source: Source) -> Iterator[str]:
        spec = self.job.spec
        for chunk in chunks(source, spec.columns_read, spec.chunk_rows):
            path, _, account = parse(spec, chunk, self.job.folder)
            beam_job.count(account)
            if path is not None:
                yield path


@beam.typehints.with_output_types(tuple[tuple[int, int, int], tuple[int, bytes]])
class _Count(beam.DoFn):
    """A chunk -> ((accumulator, source, block), (number of the chunk, state))."""

    def __init__(self, job: Job, number: int) -> None:
        self.job, self.number = job, number

    def process(self, path: str, learned: Learned) -> Iterator[Any]:
        rows = training_rows(path)
        if not rows.num_rows:
            return
        source, number = place_of(path)
        for i, state in enumerate(self.job.phase(self.number, learned).states(rows)):
            yield (i, source, number // BLOCK), (number, _dumped(state))


class _Merging(beam.DoFn):
    def __init__(self, accumulators: Sequence[Accumulator]) -> None:
        self.accumulators = accumulators

    def merged(self, i: int, states: Iterable[tuple[Any, bytes]], room: Room) -> tuple[Accumulator, Any]:
        """The accumulator, and its states as one; those of a bundle that ran twice are taken once."""
        one = self.accumulators[i]
        if isinstance(one, Counted):
            one = replace(one, room=room)
        return one, functools.reduce(one.merged, (pickle.loads(of) for _, of in sorted(dict(states).items())))


@beam.typehints.with_output_types(tuple[tuple[int, int], tuple[tuple[int, int, int], bytes]])
class _MergeBlock(_Merging):
    """((accumulator, source, block), states) -> ((accumulator, partition), ((source, block, piece), state))."""

    def process(self, group: tuple[tuple[int, int, int], Iterable[tuple[int, bytes]]]) -> Iterator[Any]:
        (i, source, block), states = group
        with tempfile.TemporaryDirectory() as folder:
            room = Room(_MEMORY, folder)
            one, state = self.merged(i, states, room)
            state = closed(one, state)
            if not isinstance(one, Counted):
                yield (i, 0), ((source, block, 0), _dumped(state))
                return
            for number, piece in enumerate(pieces(state, room)):
                for partition, part in by_entry(piece, PARTITIONS):
                    yield (i, partition), ((source, block, number), _dumped(part))


@beam.typehints.with_output_types(tuple[tuple[int, int, int], bytes])
class _Merge(_Merging):
    """((accumulator, partition), states) -> ((accumulator, partition, piece), state)."""

    def process(self, group: tuple[tuple[int, int], Iterable[tuple[Any, bytes]]]) -> Iterator[Any]:
        (i, partition), states = group
        with tempfile.TemporaryDirectory() as folder:
            room = Room(_MEMORY, folder)
            one, state = self.merged(i, states, room)
            for number, piece in enumerate(pieces(state, room) if isinstance(one, Counted) else [state]):
                yield (i, partition, number), _dumped(piece)


class _Conclude(beam.DoFn):
    """What was learned before, and the merged states of a phase -> what was learned with it."""

    def __init__(self, job: Job, number: int) -> None:
        self.job, self.number = job, number

    def process(self, learned: Learned, merged: Iterable[tuple[tuple[int, int, int], bytes]]) -> Iterator[Learned]:
        analysis = self.job.analysis()
        with tempfile.TemporaryDirectory() as folder:
            room = analysis.room(_MEMORY, folder)
            accumulators = analysis.accumulators(self.number, room)
            states: dict[int, Any] = {}
            seen = set()
            for key, content in merged:
                if key not in seen:
                    seen.add(key)
                    # In any order: partitions and pieces have no entry in common.
                    i, state = key[0], pickle.loads(content)
                    states[i] = accumulators[i].merged(states[i], state) if i in states else state
            if not states:  # without any row something is learned all the same
                phase = self.job.phase(self.number, learned)
                states = dict(enumerate(phase.states(pa.RecordBatch.from_pylist([], phase.graph.schema))))
            in_order = [states[i] for i in range(len(accumulators))]
            yield {**learned, **analysis.learned(self.number, in_order, room, f"{self.job.folder}/analysis")}


class _WriteGraph(beam.DoFn):
    """What all phases have learned -> None, once the graph is written."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, learned: Learned) -> Iterator[None]:
        # Here first, then file by file to where others read them: no attempt sees the half of another.
        with tempfile.TemporaryDirectory() as here:
            self.job.analysis().write(learned, here)
            for path in filter(Path.is_file, Path(here).rglob("*")):
                to = f"{self.job.folder}/{path.relative_to(here).as_posix()}"
                tf.io.gfile.makedirs(to.rpartition("/")[0])
                write_whole(to, path.read_bytes())
        yield None


class _Transform(beam.DoFn):
    """Paths of chunks -> nothing; their examples are written."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, path: str, written: None) -> None:
        beam_job.count({"written": self.job.transform()(path)})


def _dumped(state: Any) -> bytes:
    return pickle.dumps(state, protocol=pickle.HIGHEST_PROTOCOL)
