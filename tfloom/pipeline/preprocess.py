"""Materialise raw data by a spec: the job that `tfloom preprocess` runs."""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import Form, TransformOutput, fingerprint, stored, whole_or_absent, write_json
from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.staging import publish
from tfloom.pipeline.progress import Report
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import FORMATS, Data, Source, find

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
      report: called as rows are done, where it is not Beam that runs.

    Raises:
      SpecError, DataError, ArtefactError: in three parts; then nothing is written.
    """
    spec.check_files()
    with whole_or_absent(out, overwrite) as staging:
        memory = staging / "memory"
        memory.mkdir()
        sources = find(data, memory, columns=spec.columns_read)
        threads = threads or os.cpu_count() or 1
        spec = resolve(spec, sources, threads)
        _run(spec, sources, staging, examples, threads, memory_limit, beam_options, report)
        made = _report(spec, sources, staging)
        _place(sources, staging / "rejected")
        _check(made, staging, Path(out), max_rejected)
        shutil.rmtree(memory)
        shutil.rmtree(staging / "accounts")
        (staging / "feature_spec.json").write_text(spec.to_json())
        write_json(staging / "report.json", made | {"fingerprint": fingerprint(staging)})
        storage.remove(_beside(out))  # of an earlier try, which this one has mended
    return TransformOutput.open(out)


def _run(
    spec: FeatureSpec,
    sources: Sequence[Source],
    staging: Path,
    examples: Form,
    threads: int,
    memory_limit: int,
    options: Sequence[str],
    report: Report | None,
) -> None:
    if not options:
        from tfloom.pipeline.engines import local
        from tfloom.pipeline.engines.analysis import UnknownAnalyzerError

        try:
            local.run(spec, sources, str(staging), threads, memory_limit, examples, report)
            return
        except UnknownAnalyzerError as error:
            shutil.rmtree(staging / "analysis")
            shutil.rmtree(staging / "parsed")
            _log.warning("the local engine does not know %s: Beam runs the job", error)
    from tfloom.pipeline.engines import beam

    beam.run(spec, sources, storage.named(staging), options, examples)
    with stored(staging):
        storage.gather(staging, but="examples/")


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
    reasons: Counter[str] = Counter()
    for file in (staging / "rejected").glob("*.jsonl"):
        reasons.update(json.loads(line)["reason"] for line in file.read_text().splitlines())
    return collect(staging, sources) | {"reasons": dict(reasons.most_common(20)), "num_buckets": buckets}


def _place(sources: Sequence[Source], folder: Path) -> None:
    """Give each rejected row its line or its offset, for which a file is read again where there are any."""
    for source in sources:
        of_format = FORMATS[source.format]
        files = sorted(folder.glob(f"{source.index:05d}-*.jsonl"))
        entries = {file: [json.loads(line) for line in file.read_text().splitlines()] for file in files}
        rejected = [entry for of in entries.values() for entry in of]
        for entry in rejected:
            if entry["origin"] == source.label and entry["line"] is None:  # the one that ends the file
                _log.warning("%s: %s", source.place, entry["reason"])
        if not rejected or not hasattr(of_format, "places"):
            continue
        rows = {row for entry in rejected if (row := _row(entry, source)) is not None}
        of_rows, of_records = of_format.places(source.path, rows, {entry["line"] for entry in rejected} - {None})
        for file, of in entries.items():
            for entry in of:
                if (row := _row(entry, source)) is not None:
                    entry[of_format.PLACE] = of_rows[row]
                elif entry["line"] is not None:
                    entry["line"] = of_records[entry["line"]]
            file.write_text("".join(json.dumps(entry) + "\n" for entry in of))


def _row(entry: Mapping[str, Any], source: Source) -> int | None:
    return None if entry["origin"] == source.label else int(entry["origin"].rpartition(":")[2])


def _check(report: Mapping[str, Any], staging: Path, out: Path, max_rejected: float) -> None:
    rows = report["rows"]
    if rows["in"] != rows["out"] + rows["filtered"] + rows["unlabelled"] + rows["rejected"]:
        raise AssertionError(f"rows are lost: {rows}")
    if rows["rejected"] > max_rejected * rows["in"]:
        kept = _beside(out)
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
