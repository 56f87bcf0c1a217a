"""What an engine does with a chunk: parse it, learn from it, transform it. Where and when, the engine says.

What was parsed lies in a file of the job's folder, which every process that works on the job can reach, and a chunk is
handed on by the path of that file: rows go neither through a pipe nor through a shuffle.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform as tft

from tfloom.feature_specs.directories import Form
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import SPLITS
from tfloom.pipeline import learning
from tfloom.pipeline.engines.analysis import Graph, to_arrow
from tfloom.pipeline.graph_inputs import adapter_config, passing
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.shards import PLACE, place, whole, write_account, write_examples, write_sample, write_whole
from tfloom.pipeline.sources import Chunk


class Parsed(NamedTuple):
    """A chunk that was parsed. path: None where none of its rows is left. rows: those that are."""

    path: str | None
    rows: int
    account: Counter[str]


def parse(spec: FeatureSpec, chunk: Chunk, folder: str) -> Parsed:
    """Ingest a chunk and write what became of it into `folder`: its account, the rejected rows, the parsed ones."""
    done = ingest(spec, chunk)
    write_account(chunk, done, folder)
    write_sample(chunk, done, folder)
    if not done.rows.num_rows:
        return Parsed(None, 0, done.account)
    rows = learning.added(spec, done.rows.append_column(PLACE, place(done.splits, chunk)))
    return Parsed(write_parsed(rows, chunk, folder), rows.num_rows, done.account)


def write_parsed(rows: pa.RecordBatch, chunk: Chunk, folder: str) -> str:
    """Write the parsed rows of a chunk for other steps; the path of the file."""
    path = f"{folder}/parsed/{chunk.source.index:05d}-{chunk.number:05d}.arrow"
    if _is_remote(path):
        sink = pa.BufferOutputStream()
        _write(rows, sink)
        write_whole(path, sink.getvalue().to_pybytes())
    else:
        with whole(path) as part, pa.OSFile(part, "wb") as file:
            _write(rows, file)
    return path


def place_of(path: str) -> tuple[int, int]:
    """(index of the source, number of the chunk) of a file of parsed rows."""
    source, number = PurePath(path).stem.split("-")
    return int(source), int(number)


def parsed_rows(path: str) -> pa.RecordBatch:
    """Those of a file."""
    if _is_remote(path):
        with tf.io.gfile.GFile(path, "rb") as remote:
            return pa.ipc.open_file(remote.read()).get_batch(0)
    with pa.memory_map(path) as file:
        return pa.ipc.open_file(file).get_batch(0)


def training_rows(path: str) -> pa.RecordBatch:
    """Those of the training split."""
    rows = parsed_rows(path)
    of_split = np.asarray(rows.column(PLACE).flatten()) >> 56 == SPLITS.index("train")
    return rows if of_split.all() else rows.filter(pa.array(of_split))


class Transform:
    """The graph of a transform output in `folder`, by which chunks become examples there; for any number of threads."""

    def __init__(self, spec: FeatureSpec, folder: str, form: Form) -> None:
        self._graph = Graph.loaded(f"{folder}/transform_fn", adapter_config(spec))
        self._convert = to_arrow(tft.TFTransformOutput(folder).transformed_metadata.schema)
        self._names, self._folder, self._form = passing(spec), folder, form

    def __call__(self, path: str) -> int:
        """Write the examples of a file of parsed rows; how many there are."""
        rows = parsed_rows(path)
        made = self._convert(self._graph(rows))
        for name in self._names:
            made = made.append_column(name, rows.column(name))
        write_examples(made, f"{self._folder}/examples", self._form)
        return int(made.num_rows)


def _write(rows: pa.RecordBatch, sink: pa.NativeFile) -> None:
    with pa.ipc.new_file(sink, rows.schema) as writer:
        writer.write_batch(rows)


def _is_remote(path: str) -> bool:
    """Whether TensorFlow's file systems alone reach it."""
    return "://" in path
