"""The whole thread on real flights: how good, how equal, how long. Each step in this process, wall and CPU seconds."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _record import record

sys.path.insert(0, "examples")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfloom
from tfloom.data.flights import write_flights

FOLDER = Path("build/bench/flights")


def main() -> None:
    from flights_baseline import baseline

    rows: list[dict[str, Any]] = []

    def timed(step: str, run: Callable[[], Any]) -> Any:
        wall, cpu = time.perf_counter(), time.process_time()
        result = run()
        rows.append({"step": step, "wall s": time.perf_counter() - wall, "CPU s": time.process_time() - cpu})
        return result

    flights, _ = write_flights("build/demo")
    spec = tfloom.load_spec("examples/flights.yaml")
    output = timed("preprocess", lambda: tfloom.preprocess(spec, flights, FOLDER / "transformed", overwrite=True))
    model = timed("train", lambda: tfloom.train(output, FOLDER / "model", overwrite=True))
    metrics = timed("evaluate", lambda: tfloom.evaluate(model))
    export = timed("export", lambda: tfloom.export(model, FOLDER / "export"))
    verified = timed("verify every row", lambda: tfloom.verify(export, flights))
    theirs = timed("HistGradientBoosting", lambda: baseline(flights, spec))
    rows.append({"step": f"AUC {metrics['auc']:.4f}, HistGradientBoosting {theirs:.4f}", "wall s": "", "CPU s": ""})
    record(
        "flights",
        rows,
        {
            "AUC on held-out days below HistGradientBoosting": (theirs - metrics["auc"], "<=", 0.01),
            "rows verified": (verified.rows, ">=", 327_346),
            "differing transformed values": (verified.transformed.differing, "<=", 0),
            "differing predictions": (verified.predictions.differing, "<=", 0),
        },
    )


main()
