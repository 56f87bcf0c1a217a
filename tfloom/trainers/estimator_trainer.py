"""The Estimator trainer: tf.estimator's canned Estimators, of the same columns, backbone and head.

Training is the Estimator's own: its graph, session, checkpoints and summaries, an epoch a call. After each epoch it is
exported over materialised columns; what is judged, kept and later loaded is that SavedModel, without the Estimator.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from tfloom.feature_specs import discovery, staging
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.directories import WEIGHT, ModelDirectory, TransformOutput, write_json
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.table_column import variables
from tfloom.feature_specs.weighted_ids import WeightedIds
from tfloom.trainers import checkpoint, inputs, metrics, shared_tables
from tfloom.trainers.backbone import Backbone
from tfloom.trainers.backbones.dnn import Dnn
from tfloom.trainers.checkpoint import Progress
from tfloom.trainers.estimator_bridge import load_estimator
from tfloom.trainers.head import HEADS, Head, head
from tfloom.trainers.keras_trainer import Report
from tfloom.trainers.model_directory import keep, log_epoch, open_training, publish, train_spec_of
from tfloom.trainers.train_spec import BACKBONES, TrainSpec

LOSSES = "tfloom/losses"
"""A variable of every checkpoint: the sum of the batches' losses of each epoch, float64 [epochs]."""

OPTIMIZERS = {"adam": "Adam", "adagrad": "Adagrad", "ftrl": "Ftrl", "rmsprop": "RMSprop", "sgd": "SGD"}
"""TrainSpec's names and those of tf.keras.optimizers.legacy, which alone Estimators take."""


def train(
    output: TransformOutput,
    train_spec: TrainSpec,
    out: Path,
    *,
    overwrite: bool = False,
    report: Report | None = None,
) -> ModelDirectory:
    """Learn from the train split of a transform output and write the model directory `out`.

    As keras_trainer.train does it; but a run that was cut off within an epoch goes on to the same weights only without
    dropout, whose state no checkpoint of an Estimator holds, and to float32's rounding: a session may add in any order.

    Raises:
      SpecError: where there is no canned Estimator of the backbone and the head, with why. ArtefactError.
    """
    with _without_deprecations():
        run = _Run(output, train_spec.resolved(output.spec), report)
        folder = open_training(out, output, run.spec, overwrite)
        run.to_the_end(folder)
    return publish(folder, out)


def load(model: ModelDirectory) -> tuple[EstimatorNetwork, Head]:
    """The trained network of a model directory, as the Estimator exported it, and its head."""
    train_spec = train_spec_of(model)
    task = head(model.spec.label(train_spec.label), train_spec.head)
    columns = _columns(train_spec.backbone_for(model.spec), model.spec)
    best = model.path / "checkpoints" / "best"
    with checkpoint.reading(best):
        return EstimatorNetwork(best, columns, model.spec, task.units), task


class EstimatorNetwork:
    """A SavedModel that an Estimator wrote: materialised columns of a batch, by name -> float32 [B, units]."""

    def __init__(self, path: Path, columns: Sequence[Column], spec: FeatureSpec, units: int) -> None:
        self.columns, self.spec, self.units = columns, spec, units
        self.saved_model = tf.saved_model.load(str(path))

    @property
    def tf_variables(self) -> list[tf.Variable]:
        """The tf.Variables that a SavedModel of it holds."""
        return list(self.saved_model.variables)

    def __call__(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Only for predictions: it has no other graph."""
        told = self.saved_model.signatures["predict"](**fed(features, self.columns, self.spec))
        outputs = told["logits"] if "logits" in told else told["predictions"]
        if (
            outputs.shape[1] < self.units
        ):  # an Estimator has one logit for two classes: softmax of (0, x) is its sigmoid
            outputs = tf.concat([tf.zeros_like(outputs), outputs], axis=1)
        return outputs


class _Run:
    """One training run, at some point of it."""

    def __init__(self, output: TransformOutput, spec: TrainSpec, report: Report | None) -> None:
        self.output, self.spec, self.report = output, spec, report
        self.head = head(output.spec.label(spec.label), spec.head)
        self.columns = _columns(spec.backbone_for(output.spec), output.spec)
        self.steps = math.ceil(output.report["splits"]["train"] / spec.batch_size)
        self.estimator = canned(output.spec, output.num_buckets, spec, self.head, self.steps)

    def to_the_end(self, folder: Path) -> None:
        self.checkpoints = folder / "checkpoints"
        self.progress, self.history = Progress(), []
        state = self.checkpoints / "progress.json"
        if state.is_file():
            saved = json.loads(state.read_text())
            self.progress, self.history = Progress(**saved["progress"]), saved["history"]
        while self.progress.epoch < self.spec.epochs and not self.progress.stopped:
            self.history.append(self._epoch())
            write_json(state, {"progress": asdict(self.progress), "history": self.history})
            log_epoch(folder, self.history[-1])
            keep(folder)
        write_json(folder / "history.json", self.history)
        state.unlink()

    def _epoch(self) -> dict[str, Any]:
        """Take the steps that are left of an epoch, export, judge, and keep the export where it is the best so far."""
        began, epoch = time.perf_counter(), self.progress.epoch
        config = load_estimator().RunConfig(
            model_dir=str(self.checkpoints / "estimator"),
            # Of the epoch: each is a session of its own, and would begin with the same dropout.
            tf_random_seed=self.spec.seed + epoch,
            save_checkpoints_steps=self.spec.checkpoint_steps,
            keep_checkpoint_max=2,
        )
        estimator, end = self.estimator(config=config), (epoch + 1) * self.steps
        taken = int(estimator.get_variable_value("global_step")) - epoch * self.steps if self._has_begun() else 0
        losses = _Losses(self.spec.epochs, epoch, partial(self._tell, taken))
        estimator.train(partial(self._batches, epoch, taken), [losses], max_steps=end)
        loss = float(estimator.get_variable_value(LOSSES)[epoch]) / self.steps
        row: dict[str, Any] = {"epoch": epoch + 1, "step": end, "train": {"loss": loss}}
        exported = self._export(estimator)
        if self.output.report["splits"]["eval"]:
            network = EstimatorNetwork(exported, self.columns, self.output.spec, self.head.units)
            judge = metrics.judging(network, self.head, self.output.spec)
            row["eval"] = metrics.numbers(metrics.of_split(judge, self.head, self.output, "eval"))
        metric, more_is_better = self.head.monitor
        value = row.get("eval", {}).get(metric)
        self.progress = self.progress.after_epoch(value, more_is_better, self.spec.early_stopping)
        if self.progress.is_best:
            staging.publish(exported, self.checkpoints / "best")
        shutil.rmtree(exported.parent)
        return row | {"seconds": round(time.perf_counter() - began, 3)}

    def _has_begun(self) -> bool:
        return tf.train.latest_checkpoint(str(self.checkpoints / "estimator")) is not None

    def _batches(self, epoch: int, skip: int) -> tf.data.Dataset:
        data = inputs.batches(
            self.output,
            "train",
            self.spec.batch_size,
            self.head.label,
            order=(self.spec.seed, epoch),
            skip=skip,
            training=True,
        )

        def given(features: Mapping[str, Any], labels: Any, weights: Any = None) -> Any:
            told = read(fed(features, self.columns, self.output.spec), self.columns, self.output.spec)
            if weights is not None:
                # Of mean 1: an Estimator divides the sum of the weighted losses by the rows, not by the weights.
                told[WEIGHT] = tf.math.divide_no_nan(weights, tf.reduce_mean(weights))
            return told, labels

        return data.map(given)

    def _read(self, features: Mapping[str, Any]) -> dict[str, Any]:
        return read(features, self.columns, self.output.spec)

    def _tell(self, before: int, steps: int, total: float) -> None:
        taken = before + steps
        if self.report and (taken % 50 == 0 or taken == self.steps):
            self.report(self.progress.epoch + 1, taken, self.steps, total / taken)

    def _export(self, estimator: Any) -> Path:
        """The SavedModel over materialised columns, alone in a folder beside its place."""
        folder = self.checkpoints / ".export"
        shutil.rmtree(folder, ignore_errors=True)
        signature = fed(inputs.signature(self.output.spec.model_inputs), self.columns, self.output.spec)

        def receiver() -> Any:
            tensors = {name: tf.compat.v1.placeholder(one.dtype, one.shape, name) for name, one in signature.items()}
            return load_estimator().export.ServingInputReceiver(self._read(tensors), tensors)

        return Path(os.fsdecode(estimator.export_saved_model(str(folder), receiver)))


class _Losses(tf.compat.v1.train.SessionRunHook):
    """Sums up the losses of an epoch, in the graph: a checkpoint holds the sum that belongs to its weights."""

    def __init__(self, epochs: int, epoch: int, tell: Callable[[int, float], None]) -> None:
        self.epochs, self.epoch, self.tell = epochs, epoch, tell
        self.steps = 0

    def begin(self) -> None:
        v1 = tf.compat.v1
        loss = tf.cast(v1.get_collection(v1.GraphKeys.LOSSES)[-1], tf.float64)
        sums = v1.get_variable(LOSSES, [self.epochs], tf.float64, v1.zeros_initializer(), trainable=False)
        self.total = sums.assign_add(loss * tf.one_hot(self.epoch, self.epochs, dtype=tf.float64))[self.epoch]

    def before_run(self, run_context: Any) -> Any:
        return tf.compat.v1.train.SessionRunArgs(self.total)

    def after_run(self, run_context: Any, run_values: Any) -> None:
        self.steps += 1
        self.tell(self.steps, float(run_values.results))


@contextlib.contextmanager
def _without_deprecations() -> Iterator[None]:
    """TensorFlow's log without its dozens of warnings that Estimators are deprecated: they were asked for."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        yield
    finally:
        logger.setLevel(level)


def canned(
    spec: FeatureSpec, num_buckets: Mapping[str, int], train_spec: TrainSpec, task: Head, steps: int
) -> Callable[..., Any]:
    """The canned Estimator of a backbone and a head, still to be called with a `config`. Raises SpecError."""
    backbone = train_spec.backbone_for(spec)
    _check(backbone, task, train_spec)
    parts = backbone.parts(spec)
    shared_tables.check(parts)
    for told in variables(spec.encoded(_columns(backbone, spec)), num_buckets).values():
        for one in told.values():
            if one.saved is not None:  # before TensorFlow does, whose error says no place
                one.saved.read(one.shape)
    arguments: dict[str, Any] = {"loss_reduction": "sum_over_batch_size"}
    for part, columns in parts.items():
        prefix = {"wide": "linear_", "deep": "dnn_"}[part] if len(parts) > 1 else ""
        made = [_feature_column(c, spec, num_buckets) for c in columns]
        arguments[f"{prefix}feature_columns"] = shared_tables.joined(columns, made)
        arguments[f"{prefix}optimizer"] = partial(_optimizer, train_spec, steps)
        if part == "deep" and isinstance(backbone, Dnn):
            arguments[f"{prefix}hidden_units"] = list(backbone.hidden)
            arguments[f"{prefix}activation_fn"] = _activation(backbone)
            arguments[f"{prefix}dropout"] = backbone.dropout or None
    if task.estimator == "Classifier":
        arguments["n_classes"] = max(task.units, 2)
    if spec.weight is not None:
        arguments["weight_column"] = WEIGHT
    return partial(getattr(load_estimator(), f"{backbone.estimator}{task.estimator}"), **arguments)


def _check(backbone: Backbone, task: Head, train_spec: TrainSpec) -> None:
    """Raise SpecError for what no canned Estimator is or does."""
    kinds: tuple[tuple[str, Any, str, Any], ...] = (
        ("backbone", backbone, BACKBONES, Backbone),
        ("head", task, HEADS, Head),
    )
    for what, one, package, parent in kinds:
        if one.estimator is None:
            classes = {name: discovery.the_class(package, name, parent, what) for name in discovery.names(package)}
            known = [name for name, cls in classes.items() if getattr(cls, "estimator", None)]
            raise SpecError(
                f"trainer: tf.estimator has no canned Estimator with the {what} {one.name}",
                expected=f"the {what} {' or '.join(known)}, or the trainer keras",
                received=f"the trainer estimator and the {what} {one.name}",
            )
    if getattr(backbone, "batch_norm", False):
        raise SpecError(
            "backbone.batch_norm: an Estimator's is another network than ours: it normalises after dropout, and its "
            "means move by a thousandth a step",
            expected="batch_norm false, or the trainer keras",
            received="batch_norm true",
        )
    for field in ("momentum", "weight_decay", "clip_norm", "milestones", "warm_up_epochs", "mixed_precision"):
        if getattr(train_spec, field) not in (None, TrainSpec.model_fields[field].default):
            raise SpecError(f"{field}: the trainer estimator does not take it", expected="the trainer keras",
                            received=repr(getattr(train_spec, field)))  # fmt: skip
    if train_spec.optimizer not in OPTIMIZERS:
        raise SpecError(
            f"optimizer: Estimators take those of the old Keras, which has no {train_spec.optimizer}",
            expected=f"one of {', '.join(OPTIMIZERS)}, or the trainer keras",
            received=train_spec.optimizer,
        )


def _columns(backbone: Backbone, spec: FeatureSpec) -> tuple[Column, ...]:
    return tuple(dict.fromkeys(column for columns in backbone.parts(spec).values() for column in columns))


def fed(values: Mapping[str, Any], columns: Sequence[Column], spec: FeatureSpec) -> dict[str, Any]:
    """Materialised columns by name -> the features of the tf.feature_columns of `columns`, by key."""
    return {key: values[name] for column in columns for name, key in _keys(column, spec).items()}


def read(features: Mapping[str, Any], columns: Sequence[Column], spec: FeatureSpec) -> dict[str, Any]:
    """`fed` as the tf.feature_columns read it: weights, and the ids that they are of, as SparseTensors.

    Of dense ones tf.feature_column would drop every id of -1, and every weight of 0: they would not be side by side.
    """
    result = dict(features)
    for column in columns:
        keys = _keys(column, spec)
        for one in spec.encoded([column]):
            if isinstance(one, WeightedIds):
                there = tf.where(~tf.math.is_nan(features[keys[one.name]]))
                for key in (keys[one.of], keys[one.name]):
                    shape = tf.shape(features[key], tf.int64)
                    result[key] = tf.SparseTensor(there, tf.gather_nd(features[key], there), shape)
    return result


def _keys(column: Column, spec: FeatureSpec) -> dict[str, str]:
    """By materialised column that `column` encodes, the key of the feature: each has features of its own.

    tf.feature_column names an embedding after the feature it reads, and refuses two of one name: so the last, whose ids
    or numbers the others are about, is called as the column is.
    """
    *others, last = (one.name for one in spec.encoded([column]) if one.transformed_type is not None)
    return {name: f"{column.name}.{name}" for name in others} | {last: column.name}


def _feature_column(column: Column, spec: FeatureSpec, num_buckets: Mapping[str, int]) -> Any:
    """The tf.feature_column over `fed`."""
    keys = _keys(column, spec)
    columns = {
        one.name: one.model_copy(update={"name": keys.get(one.name, one.name)}) for one in spec.encoded([column])
    }
    sizes = {one.name: num_buckets[name] for name, one in columns.items() if name in num_buckets}
    return columns[column.name].transformed_feature_column(columns, sizes)


def _optimizer(train_spec: TrainSpec, steps: int) -> Any:
    from tfloom.trainers.estimator_bridge import tf as old

    rate: Any = train_spec.scaled_learning_rate
    if train_spec.schedule == "cosine":
        rate = old.keras.optimizers.schedules.CosineDecay(rate, train_spec.epochs * steps)
    return getattr(old.keras.optimizers.legacy, OPTIMIZERS[train_spec.optimizer])(learning_rate=rate)


def _activation(backbone: Dnn) -> Any:
    from tfloom.trainers.estimator_bridge import tf as old

    try:
        return old.keras.activations.get(backbone.activation)
    except ValueError:
        raise SpecError(
            f"backbone.activation: the old Keras of Estimators has no {backbone.activation!r}",
            expected="the name of one of its activations, such as relu, or the trainer keras",
            received=repr(backbone.activation),
        ) from None
