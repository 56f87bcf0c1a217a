"""Scoring on a Beam runner: chunks are parsed once, and Beam's RunInference has a model predict for each as it is.

A chunk is one element and one batch, of Arrow: no row becomes a Python object. Every file is written whole, under a
name that the data gives it, so that a bundle that runs twice writes the same files twice.
"""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
from apache_beam.ml.inference import base
from apache_beam.ml.inference.base import ModelHandler, RunInference

from tfloom.feature_specs.directories import ORIGIN, key_feature
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.engines import beam_job
from tfloom.pipeline.engines.steps import parsed_rows, write_parsed
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.shards import PLACE, place, write_account, write_predictions
from tfloom.pipeline.sources import Source, chunks

Model = Callable[[pa.RecordBatch], Mapping[str, pa.Array]]
"""Parsed rows of its inputs -> its predictions by name, a value a row."""

READ, INGEST, PREDICT, WRITE = "Read", "Ingest", "Predict", "Write"

# Where there is no PyTorch Beam takes it that there is no such module, and warns that memory cannot be measured.
base.resource = resource

_FOLDERS = ("predictions", "accounts", "rejected", "parsed")


@dataclass(frozen=True)
class Job:
    """What every worker is told.

    load: loads the model, wherever it runs. columns: those that are read. key: of them, those put before the
    predictions. folder: one that all workers reach.
    """

    spec: FeatureSpec
    load: Callable[[], Model]
    columns: Sequence[str]
    key: Sequence[str]
    folder: str


def run(job: Job, sources: Sequence[Source], running: contextlib.AbstractContextManager[beam.Pipeline]) -> None:
    """Score `sources` into the folder of the job: predictions, accounts, rejected.

    running: the pipeline to build, which on leaving runs: `beam_job.Run(...).pipeline()`.
    """
    for name in _FOLDERS:
        tf.io.gfile.makedirs(f"{job.folder}/{name}")
    with running as root:
        build(root, job, sources)


def build(root: beam.Pipeline, job: Job, sources: Sequence[Source]) -> None:
    """Put the job's steps into a pipeline."""
    read = root | READ >> beam.Create(list(sources), reshuffle=True)
    # Spread anew: one file may have many chunks. A chunk is its path here, so that this costs next to nothing.
    parsed = read | INGEST >> beam.ParDo(_Ingest(job)) | "Spread" >> beam.Reshuffle()
    predicted = parsed | "Read chunk" >> beam.Map(parsed_rows) | PREDICT >> RunInference(Predictions(job))
    _ = predicted | WRITE >> beam.ParDo(_Write(job))


class _Ingest(beam.DoFn):
    """A source -> the paths of its chunks: parsed rows, each with its key as it lies in the data, and its place."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, source: Source) -> Iterator[str]:
        job = self.job
        for chunk in chunks(source, job.columns, job.spec.chunk_rows):
            done = ingest(job.spec, chunk, labelled=False)
            write_account(chunk, done, job.folder)
            beam_job.count(done.account)
            if done.rows.num_rows:
                raw, rows = raw_rows.raw(chunk, done), done.rows.append_column(PLACE, place(done.splits, chunk))
                for name in job.key:
                    rows = rows.append_column(key_feature(name), raw.column(name))
                yield write_parsed(rows, chunk, job.folder)


class Predictions(ModelHandler[pa.RecordBatch, pa.RecordBatch, Model]):
    """Parsed rows of a chunk -> their key, predictions, origin and place. The model is loaded once in a process."""

    def __init__(self, job: Job) -> None:
        super().__init__()
        self.job = job

    def load_model(self) -> Model:
        """For all threads of the process, of which Beam sees that they share it."""
        return self.job.load()

    def should_skip_batching(self) -> bool:
        """A chunk is a batch."""
        return True

    def run_inference(
        self, batch: Any, model: Model, inference_args: dict[str, Any] | None = None
    ) -> list[pa.RecordBatch]:
        """One batch for one."""
        predictions = model(batch.select(self.job.spec.input_names))
        columns = {name: batch.column(key_feature(name)) for name in self.job.key} | dict(predictions)
        columns |= {ORIGIN: pa.array(batch.column(ORIGIN).flatten().cast(pa.string())), PLACE: batch.column(PLACE)}
        return [pa.RecordBatch.from_pydict(columns)]

    def get_num_bytes(self, batch: Any) -> int:
        """For Beam's metrics, which would else pickle the batch to know."""
        return int(batch.nbytes)


class _Write(beam.DoFn):
    """Predictions for chunks -> nothing; their shards are written."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def process(self, rows: pa.RecordBatch) -> None:
        write_predictions(rows, self.job.folder)
        beam_job.count({"written": rows.num_rows})
