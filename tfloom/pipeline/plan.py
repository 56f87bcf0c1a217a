"""What a job would be, told before it is started: its steps and stages, what it shuffles, and that it fits its data."""

from __future__ import annotations

import contextlib
import pickle
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import SPLITS
from tfloom.pipeline.graph_inputs import adapter_config
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import Data, Source, chunks, find

if TYPE_CHECKING:
    import apache_beam as beam


@dataclass(frozen=True)
class Plan:
    """A job that was not started.

    checked: what was found to be right. steps: of the Beam pipeline, in order, and how many transforms each has;
      stages: the steps that a runner fuses into each. Both are empty where this machine would run the job.
    passes: over the training rows. shuffled: bytes a million rows, by the states of the first `rows` rows.
    """

    checked: tuple[str, ...]
    steps: Mapping[str, int]
    stages: tuple[tuple[str, ...], ...]
    passes: int
    shuffled: float
    rows: int


def plan(spec: FeatureSpec, data: Mapping[str | None, Data], beam_options: Sequence[str] = ()) -> Plan:
    """Check a job, and build what it would be, from the first chunk of its data.

    Raises:
      SpecError, DataError: where it could not run.
    """
    checked = []
    if beam_options:
        from tfloom.pipeline.engines import beam_options as known

        known.checked(beam_options)
        checked.append("every option is known to Beam, and the runner has those that it needs")
    spec.check_files()
    labels = ", ".join(label.name for label in spec.labels) or "none"
    checked.append(f"the spec: {len(spec.columns)} columns, labels: {labels}")
    with tempfile.TemporaryDirectory() as scratch:
        sources = find(data, Path(scratch))
        formats = Counter(source.format for source in sources)
        checked.append("data: " + ", ".join(f"{n} {name}" for name, n in formats.items()))
        spec = resolve(spec, sources)
        checked.append(f"every column that is read is there: {', '.join(spec.columns_read or ())}")
        passes, size, rows = _shuffled(spec, sources, scratch)
        steps, stages = _graph(spec, sources, scratch) if beam_options else ({}, ())
    return Plan(tuple(checked), steps, stages, passes, size * 1e6 / max(rows, 1), rows)


def _shuffled(spec: FeatureSpec, sources: Sequence[Source], folder: str) -> tuple[int, int, int]:
    """(passes, bytes of the states, rows) of the first chunk: what workers send each other to learn from it."""
    from tfloom.pipeline import learning
    from tfloom.pipeline.engines.analysis import Phase, analyze
    from tfloom.pipeline.preprocessing_fn import preprocessing_fn
    from tfloom.pipeline.shards import PLACE, place

    chunk = next(chunks(sources[0], spec.columns_read, spec.chunk_rows))
    done = ingest(spec, chunk)
    rows = learning.added(spec, done.rows.append_column(PLACE, place(done.splits, chunk)))
    train = rows.filter(pa.array(np.asarray(done.splits == SPLITS.index("train"))))
    sizes = []

    def passed(phase: Phase) -> list[Any]:
        states = phase.states(train if train.num_rows else pa.RecordBatch.from_pylist([], phase.graph.schema))
        sizes.append(len(pickle.dumps(states)))
        return states

    analyze(preprocessing_fn(spec), adapter_config(spec), folder, 1 << 40, passed)
    return len(sizes), sum(sizes), train.num_rows


def _graph(
    spec: FeatureSpec, sources: Sequence[Source], folder: str
) -> tuple[dict[str, int], tuple[tuple[str, ...], ...]]:
    """The steps and the stages of the job, which is built and not run."""
    import apache_beam as beam
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner

    from tfloom.pipeline.engines import beam as engine

    built: list[beam.Pipeline] = []

    @contextlib.contextmanager
    def building() -> Iterator[beam.Pipeline]:
        built.append(beam.Pipeline(runner=FnApiRunner()))
        yield built[0]

    engine.run(spec, sources, folder, "tfrecord", building())
    proto = built[0].to_runner_api()
    transforms = proto.components.transforms
    leaves = Counter(_step(one.unique_name) for one in transforms.values() if not one.subtransforms)
    steps = [transforms[step].unique_name for root in proto.root_transform_ids
             for step in transforms[root].subtransforms]  # fmt: skip
    # What a runner fuses, whichever it is; names that are no step's are of what lies between two stages.
    _, stages = FnApiRunner().create_stages(proto)
    named = [tuple(dict.fromkeys(_step(one.unique_name) for one in stage.transforms)) for stage in stages]
    kept = [tuple(name for name in names if name in steps) for names in named]
    return {step: leaves[step] for step in steps}, tuple(names for names in kept if names)


def _step(name: str) -> str:
    """Learn/Count/... -> Learn"""
    return name.partition("/")[0]
