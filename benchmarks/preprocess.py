"""The local engine beside what else makes such columns: how fast, and in how much memory.

python benchmarks/preprocess.py [--rows x1 x10 x50 wide] [--repetitions 3]

Ten ordinary columns of flights (preprocess.yaml), learned and made of every row: all 336,776 (x1), ten times as many
(x10) and fifty (x50, ours alone); and 200 columns of 200,000 rows from a seed (wide). preprocess_sides/ has a file for
each side, which says where it does less. Every run is a process of its own and the sides take turns; a figure is the
median of its runs. Seconds count reading, learning, transforming and writing, not the imports, which stand apart; CPU
seconds are those of all its threads and processes; peak memory is the resident set's, with imports and mapped files.
Linux only.

tf.Transform from CSV and Parquet is handed batches of 1,000 rows, as many as tfx_bsl puts into one by itself; from
Parquet once more in whole row groups, and at x1 an instance dict a row. It takes most of the time there is, at x10 a
quarter of an hour, and so runs once.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from _record import Target, record

SIZES = {"x1": 336_776, "x10": 3_367_760, "x50": 16_838_800, "wide": 200_000}
"""Rows by the name of the data."""

OUT = Path("build/bench/preprocess/out")


@dataclass(frozen=True)
class Job:
    """One side's way from one file to an output. of: one of SIZES."""

    side: str
    source: str
    to: str
    of: str


def jobs(of: str) -> list[Job]:
    """What is measured of some data, in the order in which the sides take turns."""
    if of == "x50":
        return [Job("ours", "parquet", "parquet", of)]
    if of == "wide":
        return [Job(side, "parquet", "tfrecord", of) for side in ("ours", "tf_transform")]
    made = [Job(side, source, "tfrecord", of) for source in ("csv", "parquet") for side in ("ours", "tf_transform")]
    made.append(Job("tf_transform", "parquet", "tfrecord by row groups", of))
    if of == "x1":
        made.append(Job("tf_transform", "csv", "tfrecord by dicts", of))
    made += [Job(side, "parquet", "parquet", of) for side in ("ours", "with_polars", "with_pandas", "scikit_learn")]
    return [*made, Job("keras_layers", "parquet", "arrays", of)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", nargs="+", choices=list(SIZES), default=list(SIZES), help="the data to measure on")
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each side but tf.Transform's")
    parser.add_argument("--side", nargs=4, metavar=("SIDE", "DATA", "TO", "OF"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.side:
        print(json.dumps(ran(*given.side)))
        return
    paths = files_of(given.rows)
    todo = [job for of in given.rows for job in jobs(of)]
    runs: dict[Job, list[dict[str, float]]] = {job: [] for job in todo}
    for repetition in range(given.repetitions):
        for job in todo:
            if repetition == 0 or job.side != "tf_transform":
                runs[job].append(child(job, paths[job.source, job.of]))
                print(_words(job), {name: round(value, 2) for name, value in runs[job][-1].items()}, flush=True)
    medians = {job: {name: statistics.median(run[name] for run in of) for name in of[0]} for job, of in runs.items()}
    rows = [
        {
            "side": job.side,
            "from": job.source,
            "to": job.to,
            "data": job.of,
            "rows": SIZES[job.of],
            "runs": len(runs[job]),
            "rows/s": round(SIZES[job.of] / of["wall"]),
            "wall s": of["wall"],
            "CPU s": of["cpu"],
            "peak GB": of["peak"],
            "import s": of["imports"],
        }
        for job, of in medians.items()
    ]
    record("preprocess", rows, targets(medians))


def targets(medians: Mapping[Job, Mapping[str, float]]) -> dict[str, Target]:
    """What the measured sizes tell: of x1 and x10 the larger, of which alone the targets are meant."""
    made: dict[str, Target] = {}

    def times(of: str, source: str, to: str, other: str) -> float | None:
        """How many times as fast as another side ours is."""
        pair = [medians.get(Job(side, source, to, of)) for side in ("ours", other)]
        return None if None in pair else pair[1]["wall"] / pair[0]["wall"]

    largest = "x10" if any(job.of == "x10" for job in medians) else "x1"
    for name, ratio, sign, target in (
        ("csv_to_tfrecord_over_tft", times(largest, "csv", "tfrecord", "tf_transform"), ">=", 30),
        ("parquet_to_tfrecord_over_tft", times(largest, "parquet", "tfrecord", "tf_transform"), ">=", 15),
        ("parquet_to_parquet_over_polars", times(largest, "parquet", "parquet", "with_polars"), ">=", 0.5),
        ("parquet_to_parquet_over_pandas", times(largest, "parquet", "parquet", "with_pandas"), ">", 1),
        ("parquet_to_parquet_over_sklearn", times(largest, "parquet", "parquet", "scikit_learn"), ">", 1),
        ("wide_200_columns_over_tft", times("wide", "parquet", "tfrecord", "tf_transform"), ">=", 15),
    ):
        if ratio is not None:
            made[name] = (ratio, sign, target)
    peaks = {job: of["peak"] for job, of in medians.items() if job.side == "ours" and job.of != "wide"}
    if peaks:
        made["peak_memory_gb"] = (max(peaks.values()), "<", 1.5)
    x10, x50 = (peaks.get(Job("ours", "parquet", "parquet", of)) for of in ("x10", "x50"))
    if x10 and x50:
        made["memory_x50_over_x10"] = (x50 / x10, "<", 1.1)
    return made


def ran(side: str, data: str, to: str, of: str) -> dict[str, float]:
    """One run of one side, in this process: wall and CPU seconds, peak memory in GB, seconds of imports."""
    begun = time.perf_counter()
    module = importlib.import_module(f"preprocess_sides.{side}")
    imports = time.perf_counter() - begun
    shutil.rmtree(OUT, ignore_errors=True)
    OUT.mkdir(parents=True)
    wall, cpu = time.perf_counter(), _cpu()
    module.run(Path(data), to, OUT, of)
    wall, cpu = time.perf_counter() - wall, _cpu() - cpu
    shutil.rmtree(OUT)
    return {"wall": wall, "cpu": cpu, "peak": _peak(), "imports": imports}


def _cpu() -> float:
    """Seconds of this process and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _peak() -> float:
    """In GB, of this program alone: getrusage's is at least that of who started it."""
    (kib,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(kib) * 1024 / 1e9


def child(job: Job, data: Path) -> dict[str, float]:
    of = "wide" if job.of == "wide" else "flights"
    command = [sys.executable, __file__, "--side", job.side, str(data), job.to, of]
    done = subprocess.run(command, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{_words(job)} failed:\n{done.stderr}")
    made: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return made


def files_of(names: Sequence[str]) -> dict[tuple[str, str], Path]:
    """By (`parquet` or `csv`, name of the data) its file."""
    from _preprocess_data import files, wide

    made = {}
    for of in names:
        if of == "wide":
            made["parquet", of] = wide()
        else:
            made["parquet", of], made["csv", of] = files(int(of[1:]))
    return made


def _words(job: Job) -> str:
    return f"{job.of}: {job.side}, {job.source} to {job.to}"


if __name__ == "__main__":
    main()
