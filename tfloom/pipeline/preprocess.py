"""Materialise raw data by a spec: the job that `tfloom preprocess` runs."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import (
    Form,
    TransformOutput,
    absent,
    fingerprint,
    stored,
    whole_or_absent,
    write_json,
)
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.staging import publish
from tfloom.pipeline import accounts
from tfloom.pipeline.progress import Report, about
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import Data, Source, absolute, find

if TYPE_CHECKING:
    from tfloom.pipeline.engines.beam_job import Job

_log = logging.getLogger(__name__)


def preprocess(
    spec: FeatureSpec,
    data: Mapping[str | None, Data],
    out: str | Path,
    *,
    overwrite: bool = False,
    max_rejected: float = 0.01,
    examples: Form = "tfrecord",
    threads: int | None = None,
    memory_limit: int = 1 << 30,
    beam_options: Sequence[str] = (),
    report: Report | None = None,
    interrupted: Callable[[Job], bool] | None = None,
) -> TransformOutput:
    """Materialise `data` and write the transform output `out`, whole or not at all.

    Args:
      spec: what to make of a row.
      data: by split: None where the spec's rule says, else `train`, `eval` or `test`.
      max_rejected: the share of rows that may be rejected; more is an error, and the rejected ones are kept beside
        `out`.
      examples: write the materialised rows as TFRecord of tf.Example, which trainers read, as Parquet, or as both.
      threads: of this machine, where it is not Beam that runs; left out, as many as it has cores.
      memory_limit: bytes that the vocabularies may take while they are counted, where it is not Beam that counts; what
        is more lies on disk.
      beam_options: Beam's pipeline options, such as `--runner`; without any the job runs here, without Beam.
      report: called as rows are done.
      interrupted: asked at Ctrl-C whether to cancel a job that would go on elsewhere; left out, it goes on.

    Raises:
      SpecError, DataError, ArtefactError: in three parts; then nothing is written.
    """
    if beam_options:
        from tfloom.pipeline.engines.beam_options import checked

        checked(beam_options)
    spec.check_files()
    with whole_or_absent(out, overwrite) as staging:
        memory = staging / "memory"
        memory.mkdir()
        sources = find(data, memory, columns=spec.columns_read)
        threads = threads or os.cpu_count() or 1
        spec = resolve(spec, sources, threads)
        counts = _run(spec, sources, staging, examples, threads, memory_limit, beam_options, report, interrupted)
        accounts.compare(counts, finish(spec, sources, staging, Path(out), max_rejected))
    return TransformOutput.open(out)


def template(
    spec: FeatureSpec,
    data: Mapping[str | None, Data],
    out: str | Path,
    beam_options: Sequence[str],
    *,
    overwrite: bool = False,
    max_rejected: float = 0.01,
    examples: Form = "tfrecord",
) -> None:
    """Stage a job that `--template_location` holds: started by others, it publishes `out` itself, as its last step.

    The arguments are those of `preprocess`.

    Raises:
      SpecError, DataError, ArtefactError: in three parts; then nothing is staged.
    """
    from tfloom.pipeline.engines import beam, beam_template

    spec.check_files()
    out = storage.local(out).absolute()
    absent(out, overwrite)
    folder = out.with_name(f".{out.name}.{uuid.uuid4().hex[:8]}.launched")
    with tempfile.TemporaryDirectory() as none_in_memory:
        sources = [absolute(source) for source in find(data, Path(none_in_memory), columns=spec.columns_read)]
    spec = resolve(spec, sources)
    at, to = storage.named(folder), storage.named(out)
    last = functools.partial(_finish_and_publish, spec, sources, at, to, max_rejected)
    beam.run(spec, sources, at, examples, beam_template.held(beam_options, last))


def _finish_and_publish(
    spec: FeatureSpec, sources: Sequence[Source], folder: str, out: str, max_rejected: float
) -> None:
    """On a worker, which may be told to do it again when it is done."""
    from tfloom.pipeline.engines import beam

    if storage.is_folder(folder):
        beam.clear(folder)
        staging, to = storage.local(folder), storage.local(out)
        storage.gather(staging, but="examples/")
        finish(spec, sources, staging, to, max_rejected)
        publish(staging, to)
        storage.publish(to, staging)


def finish(
    spec: FeatureSpec, sources: Sequence[Source], staging: Path, out: Path, max_rejected: float
) -> dict[str, int]:
    """Make a transform output of what an engine wrote, and account for every row: the rows by what became of them.

    Raises:
      DataError: where too many rows are rejected. SpecError: where none is left to train on.
    """
    made = _report(spec, sources, staging)
    accounts.check(made["rows"])
    accounts.place(sources, staging / "rejected")
    _check(made, staging, out, max_rejected)
    shutil.rmtree(staging / "memory", ignore_errors=True)
    shutil.rmtree(staging / "accounts")
    (staging / "feature_spec.json").write_text(spec.to_json())
    write_json(staging / "report.json", made | {"fingerprint": fingerprint(staging)})
    storage.remove(_beside(out))  # of an earlier try, which this one has mended
    rows: dict[str, int] = made["rows"]
    return rows


def _run(
    spec: FeatureSpec,
    sources: Sequence[Source],
    staging: Path,
    examples: Form,
    threads: int,
    memory_limit: int,
    options: Sequence[str],
    report: Report | None,
    interrupted: Callable[[Job], bool] | None,
) -> dict[str, int]:
    """What Beam's counters say of the rows; nothing where it is not Beam that runs."""
    from tfloom.pipeline.engines.analysis import UnknownAnalyzerError

    on_beam = functools.partial(_on_beam, spec, sources, staging, examples, options, report, interrupted)
    try:
        if options:
            from tfloom.pipeline.engines import beam

            return on_beam(beam.run)
        from tfloom.pipeline.engines import local

        local.run(spec, sources, str(staging), threads, memory_limit, examples, report)
        return {}
    except UnknownAnalyzerError as error:
        from tfloom.pipeline.engines import tft_beam

        for name in ("analysis", "parsed"):
            shutil.rmtree(staging / name, ignore_errors=True)
        engine = "Beam engine" if options else "local engine"
        _log.warning("the %s does not know %s: tf.Transform's own Beam pipeline runs the job", engine, error)
        return on_beam(tft_beam.run)


def _on_beam(
    spec: FeatureSpec,
    sources: Sequence[Source],
    staging: Path,
    examples: Form,
    options: Sequence[str],
    report: Report | None,
    interrupted: Callable[[Job], bool] | None,
    engine: Callable[..., None],
) -> dict[str, int]:
    from tfloom.pipeline.engines import beam, beam_job

    folder = storage.named(staging.absolute())
    run = beam_job.Run(options or ["--runner=FnApiRunner"], report, about(sources), interrupted)
    engine(spec, [absolute(source) for source in sources], folder, examples, run.pipeline())
    with stored(staging):
        beam.clear(folder)
        storage.gather(staging, but="examples/")
    return run.counts


def _beside(out: str | Path) -> Path:
    """Where the rejected rows are kept when there were too many to write `out`."""
    out = storage.local(out)
    return out.with_name(f"{out.name}.rejected")


def _report(spec: FeatureSpec, sources: Sequence[Source], staging: Path) -> dict[str, Any]:
    import tensorflow_transform as tft

    from tfloom.pipeline.shards import collect

    output = tft.TFTransformOutput(str(staging))
    vocabularies = {vocabulary for column in spec.columns if (vocabulary := column.learned_vocabulary())}
    buckets = spec.num_buckets({name: output.vocabulary_size_by_name(name) for name in vocabularies})
    return collect(staging, sources) | {"reasons": accounts.reasons(staging), "num_buckets": buckets}


def _check(report: Mapping[str, Any], staging: Path, out: Path, max_rejected: float) -> None:
    rows = report["rows"]
    if rows["rejected"] > max_rejected * rows["in"]:
        kept = _beside(out)
        if (staging / "rejected").exists():  # not, where a worker tries again
            publish(staging / "rejected", kept)
        with stored(kept):
            storage.publish(kept)
        worst = "; ".join(f"{n} x {reason}" for reason, n in list(report["reasons"].items())[:3])
        raise DataError(
            f"{rows['rejected']} of {rows['in']} rows are rejected: {worst}",
            expected=f"at most {max_rejected:.2%} of the rows, or a larger --max-rejected",
            received=f"{rows['rejected'] / rows['in']:.2%}; they lie with their reasons in {kept}",
        )
    if not report["splits"]["train"]:
        raise SpecError("split: no row is left to train on", expected="rows in the training split",
                        received=", ".join(f"{k} {n}" for k, n in (rows | report["splits"]).items()))  # fmt: skip
