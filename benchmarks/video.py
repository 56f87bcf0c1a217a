"""Video: how fast clips become rows, what modules along time cost a training step, and whether a step waits for input.

python benchmarks/video.py [--clips GLOB] [--backbones NAME ...]

Clips are made where none are named.
"""

from __future__ import annotations

import argparse
import glob
import os
from pathlib import Path
from typing import Any

import pyarrow as pa
from _record import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from _video_ingest import clips, ingest
from _video_steps import BASE, input_wait, steps

import tfloom
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.train_spec import TrainSpec

FOLDER = Path("build/bench/video")
BACKBONES = [BASE, "tsm", "trn", "stm", "tam", "tea", "action", "tdn", "eco_lite", "eco_full", "i3d"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", help="video files to read instead, a glob")
    parser.add_argument("--backbones", nargs="*", default=BACKBONES, help="whose training steps are timed")
    given = parser.parse_args()
    paths = sorted(glob.glob(given.clips)) if given.clips else clips(FOLDER / "clips")
    rows = ingest(paths)
    (ours,) = (row for row in rows if row["side"] == "tfloom")
    taken = {row["backbone"]: row for row in steps(given.backbones)}
    waiting = input_wait(_transformed(paths), TrainSpec(backbone={"name": "tsm"}, batch_size=4))
    targets: dict[str, tuple[float, str, float]] = {"ingest_over_pyav": (ours["over_pyav"], "<=", 1.2)}
    if "tsm" in taken:
        targets["tsm_step_over_tsn"] = (taken["tsm"]["cpu_over_tsn"], "<=", 1.1)
    targets["input_wait"] = (waiting["input_wait"], "<", 0.1)
    record("video", [*rows, *taken.values(), waiting], targets)


def _transformed(paths: list[str]) -> Any:
    """The clips as a model of 8 frames of 112 x 112 pixels is trained on them, each eight times."""
    spec = FeatureSpec.model_validate({
        "columns": [
            {"name": "clip", "kind": "video", "frames": 8, "height": 112, "width": 112, "short_side": 128,
             "augmentation": {"crop": [0.5, 1], "flip": True}},
        ],
        "labels": [{"name": "wide", "positive": 1}],
        "split": {"by": "hash", "eval": 0, "test": 0},
    })  # fmt: skip
    table = pa.table({"clip": [str(Path(path).absolute()) for path in paths] * 8, "wide": [1, 0] * (4 * len(paths))})
    return tfloom.preprocess(spec, table, FOLDER / "transformed", overwrite=True)


if __name__ == "__main__":
    main()
