"""Clips that only the order of their frames tells apart: which backbones learn it, from the spec to an export."""

from __future__ import annotations

import argparse
import functools
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from _record import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfloom
from tfloom.data.moving_shapes import OPPOSITE, write_moving_shapes
from tfloom.trainers.train_spec import load_train_spec

FOLDER = Path("build/bench/moving_shapes")
CHANGES: dict[str, dict[str, str]] = {
    "tsn": {},
    "tsm": {},
    "trn": {"learning_rate": "0.002"},
    "stm": {},
    "tea": {"backbone.network": "res2net50", "epochs": "12"},
    "tam": {"epochs": "25", "learning_rate": "0.01"},
    "action": {},
    "tdn": {},
}
"""What differs from examples/moving_shapes_tsm.yaml, beside the name."""

PAIRS = {"trn": 2400}
"""Of a clip and its reversal, where 800 are too few: trn learns them by heart."""

FRAMES = {"tdn": 20}
"""Four segments of five; of the others eight frames."""

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("backbones", nargs="*", default=list(CHANGES), help="some of them")
args = parser.parse_args()


@functools.cache
def transformed(pairs: int, frames: int) -> tuple[Path, Any]:
    """The data and what is made of it."""
    data = write_moving_shapes(FOLDER / f"{pairs}_{frames}", pairs, frames)
    spec = tfloom.load_spec("examples/moving_shapes.yaml")
    spec = spec.model_copy(update={"columns": (spec.columns[0].model_copy(update={"frames": frames}),)})
    return data, tfloom.preprocess(spec, data, data.parent / "transformed", overwrite=True)


def row(name: str, data: Path, output: Any) -> dict[str, Any]:
    """Train, export, and ask the export for the test split."""
    spec = load_train_spec("examples/moving_shapes_tsm.yaml", {"backbone.name": name} | CHANGES[name])
    began = time.process_time()
    model = tfloom.train(output, FOLDER / "model", spec, overwrite=True)
    seconds = time.process_time() - began
    export = tfloom.export(model, FOLDER / "export")
    test = test_rows(data, output)
    told = tfloom.predict(export, test).column("classes").to_pylist()
    labels = test.column("direction").to_pylist()
    return {
        "backbone": name,
        "clips": len(labels),
        "accuracy": float(np.mean([a == b for a, b in zip(told, labels, strict=True)])),
        "axis": float(np.mean([a in (b, OPPOSITE[b]) for a, b in zip(told, labels, strict=True)])),
        "differing": tfloom.verify(export, data).predictions.differing,
        "CPU seconds to train": seconds,
    }


def test_rows(data: Path, output: Any) -> Any:
    """The rows of the test split, which the spec deals by the number of the pair."""
    rows = pq.read_table(data)
    return rows.filter(output.spec.split.assign(rows.select(["pair"]).combine_chunks().to_batches()[0]) == 2)


rows = []
for name in args.backbones:
    rows.append(row(name, *transformed(PAIRS.get(name, 800), FRAMES.get(name, 8))))
    print(rows[-1], flush=True)
targets: dict[str, tuple[float, str, float]] = {
    f"{one['backbone']}_accuracy": (one["accuracy"], ">=", 0.95) for one in rows if one["backbone"] != "tsn"
}
for one in rows:
    if one["backbone"] == "tsn":
        targets["tsn_accuracy_over_half_axis"] = (abs(2 * one["accuracy"] - one["axis"]), "<=", 0.0)
targets["differing predictions"] = (sum(one["differing"] for one in rows), "<=", 0)
record("moving_shapes", rows, targets)
