"""The Beam engine beside tf.Transform's own pipeline, on the same runner, of the same file: what a row costs.

python benchmarks/beam.py [--rows x1 x10] [--runners FnApiRunner PrismRunner]

Ten ordinary columns of flights (preprocess.yaml) from Parquet to TFRecord: all 336,776 rows (x1), and ten times as many
(x10). tf.Transform's side is preprocess_sides/tf_transform.py, written as its own examples have it, in batches of 1,000
rows. Every run is a process of its own, and runs once, in turn; CPU seconds are those of all its threads and processes,
without the imports. Linux only.

What a cluster takes is estimated: a job costs CPU seconds once (tracing, saving and loading graphs, building the
pipeline) and some for every row, and two sizes tell the one from the other. Of 100 million rows it is those of the rows
that count. Where x1 alone is measured nothing tells them apart, and the rows are said to have cost all of it. What a
service takes to begin, to shuffle and to read from afar is not in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from _record import Target, record
from preprocess import SIZES, Job, child, files_of
from preprocess_sides import prism

RUNNERS = ("FnApiRunner", "PrismRunner")
"""Of Beam, by name. tf.Transform's side runs on the first."""

Measured = Mapping[Job, Mapping[str, float]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rows", nargs="+", choices=("x1", "x10"), default=("x1", "x10"), help="the data to measure on"
    )
    parser.add_argument("--runners", nargs="+", choices=RUNNERS, default=RUNNERS, help="the runners of Beam")
    given = parser.parse_args()
    runners = [runner for runner in given.runners if runner != "PrismRunner" or prism.program()]
    if len(runners) < len(given.runners):
        print("PrismRunner is left out: there is no Go to build Prism by")
    paths = files_of(given.rows)
    measured = {}
    for of in given.rows:
        for job in (theirs(of), *(ours(runner, of) for runner in runners)):
            measured[job] = child(job, paths["parquet", of])
            print(of, job.side, {name: round(value, 2) for name, value in measured[job].items()}, flush=True)
    record("beam", [row(job, measured) for job in measured], targets(measured))
    print("vCPU hours of 100 million rows, estimated:")
    for job in measured:
        print(f"  {job.of}, {job.side}: {derivation(job, measured)}")


def ours(runner: str, of: str) -> Job:
    return Job("ours_on_beam", "parquet", f"tfrecord on {runner}", of)


def theirs(of: str) -> Job:
    return Job("tf_transform", "parquet", "tfrecord", of)


def row(job: Job, measured: Measured) -> dict[str, Any]:
    """Of the table."""
    of, hours = measured[job], vcpu_hours(job, measured)
    return {
        "side": job.side,
        "runner": job.to.partition(" on ")[2] or RUNNERS[0],
        "data": job.of,
        "rows": SIZES[job.of],
        "rows/s": round(SIZES[job.of] / of["wall"]),
        "wall s": of["wall"],
        "CPU s": of["cpu"],
        "peak GB": of["peak"],
        "vCPU h per 100 million rows": hours,
    }


def vcpu_hours(job: Job, measured: Measured) -> float:
    """Of 100 million rows, estimated."""
    seconds, rows = map(sum, zip(*_terms(job, measured), strict=True))
    return seconds / rows * 100e6 / 3600


def derivation(job: Job, measured: Measured) -> str:
    """How they are calculated."""
    seconds, rows = zip(*_terms(job, measured), strict=True)
    of_seconds, of_rows = " ".join(f"{one:+,.1f}" for one in seconds), " ".join(f"{one:+,}" for one in rows)
    return f"({of_seconds}) CPU s / ({of_rows}) rows * 100e6 / 3600 = {vcpu_hours(job, measured):.3g}"


def _terms(job: Job, measured: Measured) -> list[tuple[float, int]]:
    """(CPU seconds, rows): those of the job, and, to be taken off, those of the smaller one."""
    small = Job(job.side, job.source, job.to, "x1")
    terms = [(measured[job]["cpu"], SIZES[job.of])]
    return terms if job == small or small not in measured else [*terms, (-measured[small]["cpu"], -SIZES["x1"])]


def targets(measured: Measured) -> dict[str, Target]:
    """Of the larger size that was measured."""
    largest = "x10" if any(job.of == "x10" for job in measured) else "x1"
    one, other = ours(RUNNERS[0], largest), theirs(largest)
    if one not in measured:
        return {}
    return {"beam_cpu_seconds_over_tft": (measured[one]["cpu"] / measured[other]["cpu"], "<=", 0.33)}


if __name__ == "__main__":
    main()
