"""Pictures end to end on scikit-learn's digits: accuracy on the test split, and equality."""

from __future__ import annotations

import os
from pathlib import Path

from _record import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tfloom
from tfloom.data.digits import write_digits

FOLDER = Path("build/bench/digits")

data = write_digits(FOLDER)
output = tfloom.preprocess("examples/digits.yaml", data, FOLDER / "transformed", overwrite=True)
model = tfloom.train(output, FOLDER / "model", "examples/digits_train.yaml", overwrite=True)
metrics = tfloom.evaluate(model)
verified = tfloom.verify(tfloom.export(model, FOLDER / "export"), data)
record(
    "digits",
    [{"split": "test", "rows": metrics["rows"], "accuracy": metrics["accuracy"], "loss": metrics["loss"]}],
    {
        "accuracy on the test split": (metrics["accuracy"], ">=", 0.97),
        "differing transformed values": (verified.transformed.differing, "<=", 0),
        "differing predictions": (verified.predictions.differing, "<=", 0),
    },
)
