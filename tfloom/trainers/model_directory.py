"""The model directory while it is being made: beside its place, and kept when a run is cut off."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfloom.feature_specs import staging, storage
from tfloom.feature_specs.directories import ModelDirectory, TransformOutput, absent, no_folder, stored, write_json
from tfloom.feature_specs.errors import ArtefactError
from tfloom.feature_specs.validation import load
from tfloom.trainers.train_spec import TrainSpec


def open_training(out: Path, output: TransformOutput, train_spec: TrainSpec, overwrite: bool) -> Path:
    """The folder `<out>.training`, new or of a run that was cut off; of a copy of what is in Cloud Storage, kept there.

    Raises ArtefactError where `out` is there, or nothing that could be learned from.
    """
    output.examples("train")  # raises, before there is a folder that would be taken for a run
    absent(out, overwrite)
    folder = out.with_name(f"{out.name}.training")
    provenance = {
        "transformed": storage.relative(output.path, out),
        "fingerprint": output.fingerprint,
        "num_buckets": output.num_buckets,
    }
    written = {"train_spec.json": train_spec.to_json(), "feature_spec.json": output.spec.to_json()}
    with stored(out):
        storage.resume(folder)
    if folder.exists():
        same = all((folder / name).is_file() and (folder / name).read_text() == text for name, text in written.items())
        if same and ModelDirectory(folder).read("provenance.json") == provenance:
            return folder
        if not overwrite:
            raise ArtefactError(
                f"{folder}: holds a run that was cut off, of another train spec or transform output",
                expected="the same ones, to go on with it, or --overwrite to begin anew",
                received=str(out),
            )
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise no_folder(out, error) from None
    for name, text in written.items():
        (folder / name).write_text(text)
    write_json(folder / "provenance.json", provenance)
    return folder


def train_spec_of(model: ModelDirectory) -> TrainSpec:
    """How it learned, its backbone said."""
    return load(model.path / "train_spec.json", TrainSpec)


def log_epoch(folder: Path, row: Mapping[str, Any]) -> None:
    """Show a row of the history in TensorBoard."""
    for split in ("train", "eval"):
        writer = tf.summary.create_file_writer(str(folder / "tensorboard" / split))
        with writer.as_default(row["step"]):
            for name, value in row.get(split, {}).items():
                tf.summary.scalar(f"epoch_{name}", value)
        writer.close()


def keep(folder: Path) -> None:
    """Put a run of training by, where its model is to be in Cloud Storage: to go on from there if it is cut off."""
    with stored(folder):
        storage.keep(folder)


def publish(folder: Path, out: Path) -> ModelDirectory:
    """Rename the finished folder into place."""
    staging.publish(folder, out)
    with stored(out):
        storage.publish(out)
        storage.forget(folder)
    return ModelDirectory.open(out)
