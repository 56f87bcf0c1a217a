"""tf.Transform's own Beam pipeline over our rows: for an analyzer that our analysis does not know, and to compare with.

It learns whatever tf.Transform can. Its pipeline has steps for every column.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
import pyarrow as pa
import tensorflow as tf
import tensorflow_transform.beam as tft_beam

from tfloom.feature_specs.directories import Form
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import SPLITS
from tfloom.pipeline import learning
from tfloom.pipeline.engines import beam_job
from tfloom.pipeline.graph_inputs import adapter_config, passing
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.shards import PLACE, place, write_account, write_examples, write_sample
from tfloom.pipeline.sources import Source, chunks


def run(
    spec: FeatureSpec,
    sources: Sequence[Source],
    folder: str,
    form: Form,
    running: contextlib.AbstractContextManager[beam.Pipeline],
) -> None:
    """Materialise `sources` by a resolved spec into `folder`: transform_fn, examples, accounts, rejected.

    running: the pipeline to build, which on leaving runs: `beam_job.Run(...).pipeline()`.
    """
    for name in ("examples", "accounts", "rejected"):
        tf.io.gfile.makedirs(f"{folder}/{name}")
    adapter = adapter_config(spec)
    with (
        # Where workers elsewhere reach it.
        tft_beam.Context(temp_dir=f"{folder}/analysis", passthrough_keys=set(passing(spec))),
        running as root,
    ):
        parsed = root | beam.Create(list(sources)) | beam.ParDo(_Ingest(spec, folder)).with_outputs("train", "all")
        graph = (parsed.train, adapter) | tft_beam.AnalyzeDataset(preprocessing_fn(spec))
        (rows, _) = ((parsed.all, adapter), graph) | tft_beam.TransformDataset(output_record_batches=True)
        _ = rows | beam.Map(lambda pair: write_examples(pair[0], f"{folder}/examples", form))
        _ = graph | tft_beam.WriteTransformFn(folder)


class _Ingest(beam.DoFn):
    """A source -> its parsed rows, chunk by chunk: all of them, and those of the training split for the analyzers."""

    def __init__(self, spec: FeatureSpec, folder: str) -> None:
        self.spec, self.folder = spec, folder

    def process(self, source: Source) -> Iterator[Any]:
        for chunk in chunks(source, self.spec.columns_read, self.spec.chunk_rows):
            done = ingest(self.spec, chunk)
            write_account(chunk, done, self.folder)
            write_sample(chunk, done, self.folder)
            beam_job.count(done.account)
            if done.rows.num_rows == 0:
                continue
            rows = learning.added(self.spec, done.rows.append_column(PLACE, place(done.splits, chunk)))
            yield beam.pvalue.TaggedOutput("all", rows)
            train = rows.filter(pa.array(done.splits == SPLITS.index("train")))
            if train.num_rows:
                yield beam.pvalue.TaggedOutput("train", train)
