"""Train, and load what was trained, by the trainer that the train spec names."""

from __future__ import annotations

from pathlib import Path

from tfloom.feature_specs import storage
from tfloom.feature_specs.directories import ModelDirectory, TransformOutput
from tfloom.trainers import keras_trainer
from tfloom.trainers.head import Head, TrainedNetwork
from tfloom.trainers.keras_trainer import Report
from tfloom.trainers.model_directory import train_spec_of
from tfloom.trainers.train_spec import TrainSpec


def train(
    output: TransformOutput,
    train_spec: TrainSpec,
    out: Path,
    *,
    overwrite: bool = False,
    report: Report | None = None,
) -> ModelDirectory:
    """See keras_trainer.train and estimator_trainer.train."""
    out = storage.local(out)
    if train_spec.trainer == "estimator":
        from tfloom.trainers import estimator_trainer

        return estimator_trainer.train(output, train_spec, out, overwrite=overwrite, report=report)
    return keras_trainer.train(output, train_spec, out, overwrite=overwrite, report=report)


def load(model: ModelDirectory) -> tuple[TrainedNetwork, Head]:
    """The trained network of a model directory and its head: what evaluation, export and prediction need of them."""
    if train_spec_of(model).trainer == "estimator":
        from tfloom.trainers import estimator_trainer

        return estimator_trainer.load(model)
    return keras_trainer.load(model)
