"""Real clips of surveillance cameras, five folds by scene: does time help? Small networks from scratch, on a CPU."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

from _record import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfloom
from tfloom.feature_specs.split import ByColumn
from tfloom.trainers.train_spec import load_train_spec

FOLDER = Path("build/bench/fight_clips")
FOLDS = 5
MODELS = {"ResNet, 1 frame": "tsn", "TSN, 8 frames": "tsn", "TSM, 8 frames": "tsm", "ACTION, 8 frames": "action"}

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--data", type=Path, default=Path("../shared/data/fight_clips"), help="the folder of clips.csv")
args = parser.parse_args()
if not (args.data / "clips.csv").is_file():
    sys.exit(f"{args.data}/clips.csv: is missing; name the folder of the fight clips by --data")


def transformed(fold: int, frames: int) -> Any:
    """The clips with one fold held out."""
    spec = tfloom.load_spec("examples/fight.yaml")
    clip = spec.columns[0].model_copy(update={"frames": frames, "kept_frames": 32})
    split = ByColumn(by="column", source="fold", test=fold, eval="none")
    spec = spec.model_copy(update={"columns": (clip,), "split": split})
    return tfloom.preprocess(spec, args.data / "clips.csv", FOLDER / f"transformed_{fold}_{frames}", overwrite=True)


found: dict[str, list[dict[str, Any]]] = {name: [] for name in MODELS}
for fold in range(FOLDS):
    outputs = {frames: transformed(fold, frames) for frames in (1, 8)}
    for name, backbone in MODELS.items():
        frames = 1 if "1 frame" in name else 8
        spec = load_train_spec("examples/fight_tsm.yaml", {"backbone.name": backbone})
        began = time.process_time()
        model = tfloom.train(outputs[frames], FOLDER / "model", spec, overwrite=True)
        metrics = {"cpu_seconds": time.process_time() - began} | tfloom.evaluate(model)
        found[name].append(metrics)
        print(f"fold {fold}, {name}: {metrics['accuracy']:.3f} of {metrics['rows']} clips", flush=True)

rows = []
for name, told in found.items():
    accuracies = [one["accuracy"] for one in told]
    rows.append({
        "model": name,
        "accuracy": statistics.mean(accuracies),
        "spread": statistics.stdev(accuracies),
        "folds": " ".join(f"{one:.3f}" for one in accuracies),
        "CPU seconds to train": statistics.mean(one["cpu_seconds"] for one in told),
    })  # fmt: skip
record("fight_clips", rows, {})
