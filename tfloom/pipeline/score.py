"""Predictions for whole tables, by a job on a Beam runner: the one that `tfloom predict --runner` starts."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import stored, whole_or_absent, write_json
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import accounts, bigquery_table
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.progress import Report, about
from tfloom.pipeline.shards import summed
from tfloom.pipeline.sources import Data, Source, absolute, find

if TYPE_CHECKING:
    from tfloom.pipeline.engines.beam_job import Job
    from tfloom.pipeline.engines.inference import Model


def score(
    spec: FeatureSpec,
    load: Callable[[], Model],
    data: Data,
    out: str | Path,
    beam_options: Sequence[str],
    *,
    key: Sequence[str] | None = None,
    overwrite: bool = False,
    report: Report | None = None,
    interrupted: Callable[[Job], bool] | None = None,
) -> dict[str, Any]:
    """Have a model predict for every row of `data`, and write `out`, whole or not at all.

    Args:
      spec: resolved, of the model.
      load: loads the model on a worker; it is sent there, pickled.
      out: a folder: predictions/, a Parquet shard for each chunk of rows, rejected/ and report.json; or a table of
        BigQuery, bq://project.dataset.table, made in `--temp_location`, and one with `_rejected` behind its name.
      beam_options: Beam's pipeline options, such as `--runner`.
      key: columns of `data` to put before the predictions; left out, those of the spec's key that `data` has.
      report: called as rows are done.
      interrupted: asked at Ctrl-C whether to cancel a job that would go on elsewhere; left out, it goes on.

    Returns:
      What report.json says: rows in, out and rejected, the reasons for which most rows are rejected, the sources.

    Raises:
      SpecError, DataError, ArtefactError: in three parts; then nothing is written.
    """
    from apache_beam.options.pipeline_options import GoogleCloudOptions

    from tfloom.pipeline.engines import beam, beam_job, inference

    run = beam_job.Run(beam_options, report, interrupted=interrupted)
    with _made(out, overwrite, run.options.view_as(GoogleCloudOptions).temp_location) as staging:
        memory = staging / "memory"
        memory.mkdir()
        sources = find({None: data}, memory, columns=[*spec.input_sources, *(spec.key if key is None else key)])
        key = raw_rows.present(sources, spec.key) if key is None else key
        columns = raw_rows.read(spec, sources, labelled=False, keep=key)
        if bigquery_table.is_one(out):
            bigquery_table.check_columns(sources, key)
        run.rows = about(sources)
        folder = storage.named(staging.absolute())
        job = inference.Job(spec, load, columns, key, folder)
        inference.run(job, [absolute(source) for source in sources], run.pipeline())
        with stored(staging):
            beam.clear(folder)
            storage.gather(staging, but="predictions/")
        told = _account(staging, sources)
        accounts.compare(run.counts, told["rows"])
    return told


def _made(out: str | Path, overwrite: bool, temp_location: str | None) -> contextlib.AbstractContextManager[Path]:
    """The folder of the job, of which on leaving `out` is made."""
    if bigquery_table.is_one(out):
        return bigquery_table.whole_table(str(out), overwrite, temp_location)
    return whole_or_absent(out, overwrite)


def _account(staging: Path, sources: Sequence[Source]) -> dict[str, Any]:
    """Account for every row, in report.json, and give each that is rejected its place."""
    told = summed(staging, sources)
    rows = told["rows"]
    accounts.check(rows)
    if not rows["in"]:
        raise DataError("data: has no rows", expected="a row or more", received="none")
    accounts.place(sources, staging / "rejected")
    shutil.rmtree(staging / "memory")
    shutil.rmtree(staging / "accounts")
    report = {
        "rows": {name: rows[name] for name in ("in", "out", "rejected")},
        "reasons": accounts.reasons(staging),
        "sources": told["sources"],
    }
    write_json(staging / "report.json", report)
    return report
