"""How long a training step of each video backbone takes beside that of the same network without modules along time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import keras
import tensorflow as tf

from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.features import Clip
from tfloom.trainers import inputs
from tfloom.trainers.network import build
from tfloom.trainers.train_spec import TrainSpec

BASE = "tsn"


def steps(
    names: Sequence[str], *, size: int = 112, frames: int = 8, batch: int = 2, repetitions: int = 5
) -> list[dict[str, Any]]:
    """A row for each backbone: median wall and CPU seconds of a step, and of it over BASE's, taken in turns."""
    rows = []
    for name in names:
        sides = {one: _step(one, size, frames, batch) for one in dict.fromkeys([BASE, name])}
        taken: dict[str, list[tuple[float, float]]] = {one: [] for one in sides}
        for _ in range(repetitions):
            for one, step in sides.items():
                wall, cpu = time.perf_counter(), time.process_time()
                step()
                taken[one].append((time.perf_counter() - wall, time.process_time() - cpu))
        wall, cpu = (statistics.median(column) for column in zip(*taken[name], strict=True))
        over = [a[1] / b[1] for a, b in zip(taken[name], taken[BASE], strict=True)]
        over_wall = [a[0] / b[0] for a, b in zip(taken[name], taken[BASE], strict=True)]
        rows.append({
            "backbone": name, "step_s": wall, "step_cpu_s": cpu, "over_tsn": statistics.median(over_wall),
            "cpu_over_tsn": statistics.median(over),
        })  # fmt: skip
    return rows


def _step(name: str, size: int, frames: int, batch: int) -> Callable[[], None]:
    """A step of SGD on clips of noise, traced and taken once."""
    backbone: Any = TrainSpec(backbone={"name": name}).backbone
    column = SimpleNamespace(name="clip", frames=frames, height=size, width=size)
    layer = backbone.layer({"clip": (column,)}, {}, 174)
    clips = tf.random.stateless_normal([batch, frames, size, size, 3], [0, 0])
    tf.function(lambda x: layer.call({"clip": (Clip(x),)})).get_concrete_function(clips)
    optimizer = keras.optimizers.SGD(0.001, momentum=0.9)
    optimizer.build(layer.trainable_variables)

    @tf.function
    def step() -> Any:
        with tf.GradientTape() as tape:
            logits = layer.call({"clip": (Clip(clips),)}, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.zeros([batch], tf.int64), logits))
        trained = layer.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in trained]), trained)
        return loss

    def run() -> None:
        step().numpy()

    run()
    return run


def input_wait(output: TransformOutput, spec: TrainSpec, count: int = 20) -> dict[str, Any]:
    """A row: the share of a training step's time that waits for its batch, over so many steps after the first two."""
    spec = spec.resolved(output.spec)
    network, head = build(output.spec, output.num_buckets, spec)
    optimizer = keras.optimizers.SGD(0.001)
    optimizer.build(network.trainable_variables)

    @tf.function(reduce_retracing=True)
    def step(features: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(head.loss(network, features, labels, training=True).per_example)
        trained = network.trainable_variables
        optimizer.apply(tape.gradient(loss, [v.value for v in trained]), trained)
        return loss

    waited, trained, epoch = [], [], 0
    while len(waited) < count + 2:
        data = iter(inputs.batches(output, "train", spec.batch_size, head.label, order=(0, epoch), training=True))
        epoch += 1
        while len(waited) < count + 2:
            began = time.perf_counter()
            if (batch := next(data, None)) is None:
                break
            got = time.perf_counter()
            step(*batch).numpy()
            waited.append(got - began)
            trained.append(time.perf_counter() - got)
    wait, work = sum(waited[2:]), sum(trained[2:])
    return {"steps": count, "wait_s": wait / count, "step_s": work / count, "input_wait": wait / (wait + work)}
