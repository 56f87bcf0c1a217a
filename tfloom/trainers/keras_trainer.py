"""The Keras 3 trainer: one train_step for every head, checkpoints, exact resume."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from tfloom.feature_specs.directories import ModelDirectory, TransformOutput, write_json
from tfloom.trainers import checkpoint, inputs, metrics
from tfloom.trainers.checkpoint import Progress
from tfloom.trainers.head import Head
from tfloom.trainers.model_directory import keep, log_epoch, open_training, publish, train_spec_of
from tfloom.trainers.network import Network, build
from tfloom.trainers.optimizer import optimizer
from tfloom.trainers.train_spec import TrainSpec

Report = Callable[[int, int, int, float], None]
"""Told of a step: epoch from 1, steps taken in it, steps in it, mean loss so far."""


def train(
    output: TransformOutput,
    train_spec: TrainSpec,
    out: Path,
    *,
    overwrite: bool = False,
    report: Report | None = None,
) -> ModelDirectory:
    """Learn from the train split of a transform output and write the model directory `out`.

    Until it is whole it lies beside, in `<out>.training`; the same call goes on from the last checkpoint there, to the
    same weights as if it had never stopped. The weights kept are those of the best epoch on the eval split, by the
    head's metric; without an eval split the last ones.

    Raises:
      SpecError, ArtefactError: in three parts.
    """
    train_spec = train_spec.resolved(output.spec)
    network, head = build(output.spec, output.num_buckets, train_spec, training=True)
    network.columns.read_saved()
    train_spec.backbone_for(output.spec).read_saved(network.backbone)
    folder = open_training(out, output, train_spec, overwrite)
    _Run(output, train_spec, network, head, folder, report).to_the_end()
    return publish(folder, out)


def load(model: ModelDirectory) -> tuple[Network, Head]:
    """The trained network of a model directory, rebuilt from its specs, and its head."""
    network, head = build(model.spec, model.read("provenance.json")["num_buckets"], train_spec_of(model))
    checkpoint.restore(model.path / "checkpoints" / "best", network)
    return network, head


def weighted_mean(per_example: Any, weights: Any = None) -> Any:
    """sum(w l) / sum(w) of losses [B]; without weights all are 1. Of no rows it is 0."""
    weights = tf.ones_like(per_example) if weights is None else weights
    return tf.math.divide_no_nan(tf.reduce_sum(per_example * weights), tf.reduce_sum(weights))


def decay(spec: TrainSpec, trained: Sequence[keras.Variable]) -> list[Any]:
    """What weight decay adds to the loss, a scalar where there is one; see TrainSpec."""
    if not spec.weight_decay or spec.optimizer == "adamw":
        return []
    return [spec.weight_decay * tf.nn.l2_loss(one.value) for one in trained if len(one.shape) > 1]


class _Run:
    """One training run, at some point of it."""

    def __init__(
        self,
        output: TransformOutput,
        spec: TrainSpec,
        network: Network,
        head: Head,
        folder: Path,
        report: Report | None,
    ) -> None:
        self.output, self.spec, self.network, self.head, self.folder = output, spec, network, head, folder
        self.report = report
        self.steps = math.ceil(output.report["splits"]["train"] / spec.batch_size)
        self.optimizer = optimizer(spec, self.steps)
        if network.precision == "mixed_float16":
            self.optimizer = keras.optimizers.LossScaleOptimizer(self.optimizer)
        self.optimizer.build(network.trainable_variables)
        self.step = tf.function(
            self._step,
            input_signature=[
                tf.TensorSpec([2], tf.int32),
                *inputs.labelled_signature(output.spec, head.label, training=True),
                *inputs.weight_signature(output.spec),
            ],
        ).get_concrete_function()
        self.judge = metrics.judging(network, head, output.spec) if output.report["splits"]["eval"] else None
        self.progress = Progress()
        self.history: list[Any] = []
        last = folder / "checkpoints" / "last"
        if last.is_dir():
            self.progress, self.history = checkpoint.restore(last, network, self.optimizer)

    def to_the_end(self) -> None:
        while self.progress.epoch < self.spec.epochs and not self.progress.stopped:
            self._epoch()
        self._fit_last()
        write_json(self.folder / "history.json", self.history)
        for folder in (self.folder / "checkpoints").iterdir():  # the last, and what a kill in the middle of it left
            if folder.name != "best":
                shutil.rmtree(folder)

    def _fit_last(self) -> None:
        """Let the backbone learn the rest, from what the best weights make of the split train."""
        backbone = self.spec.backbone_for(self.output.spec)
        if backbone.fits_last:
            best = self.folder / "checkpoints" / "best"
            progress, history = checkpoint.restore(best, self.network)
            seen = inputs.batches(self.output, "train", self.spec.batch_size, self.head.label)
            backbone.fit_last(self.network, seen)
            checkpoint.save(best, self.network, None, progress, history)

    def _epoch(self) -> None:
        """Take the steps that are left of an epoch, judge the weights, and write a checkpoint."""
        began, at = time.perf_counter(), self.progress
        order = (self.spec.seed, at.epoch)
        total, taken = tf.constant(at.loss, tf.float64), at.step
        data = inputs.batches(
            self.output, "train", self.spec.batch_size, self.head.label, order=order, skip=taken, training=True
        )
        for batch in data:
            seed = tf.constant([self.spec.seed, at.epoch * self.steps + taken], tf.int32)
            total += tf.cast(self.step(seed, *batch), tf.float64)
            taken += 1
            if self.report and (taken % 50 == 0 or taken == self.steps):
                self.report(at.epoch + 1, taken, self.steps, float(total) / taken)
            if taken % self.spec.checkpoint_steps == 0 and taken < self.steps:
                seconds = at.seconds + time.perf_counter() - began
                self._save("last", replace(at, step=taken, loss=float(total), seconds=seconds))
        row: dict[str, Any] = {
            "epoch": at.epoch + 1,
            "step": (at.epoch + 1) * self.steps,
            "train": {"loss": float(total) / taken},
        }
        if self.judge:
            row["eval"] = metrics.numbers(metrics.of_split(self.judge, self.head, self.output, "eval"))
        row["seconds"] = round(at.seconds + time.perf_counter() - began, 3)
        self.history.append(row)
        log_epoch(self.folder, row)  # before the checkpoint: a run that is cut off here logs it twice, not never
        self._keep(row)

    def _keep(self, row: Mapping[str, Any]) -> None:
        """Write the weights where they are the best so far; stop where there was nothing better for long enough."""
        metric, more_is_better = self.head.monitor
        value = row.get("eval", {}).get(metric)
        self.progress = self.progress.after_epoch(value, more_is_better, self.spec.early_stopping)
        if self.progress.is_best:
            self._save("best", self.progress)
        self._save("last", self.progress)

    def _save(self, name: str, progress: Progress) -> None:
        checkpoint.save(self.folder / "checkpoints" / name, self.network, self.optimizer, progress, self.history)
        if name == "last":
            keep(self.folder)

    def _step(self, seed: Any, features: Mapping[str, Any], labels: Any, *weights: Any) -> Any:
        trained = self.network.trainable_variables
        with tf.GradientTape() as tape:
            told = self.head.loss(self.network, features, labels, seed, training=True)
            loss = weighted_mean(told.per_example, *weights)
            total = self.optimizer.scale_loss(tf.add_n([loss, *self.network.losses, *decay(self.spec, trained)]))
        self.optimizer.apply(tape.gradient(total, [v.value for v in trained]), trained)
        return loss
