"""The Keras optimizer that a train spec asks for, and how its learning rate goes."""

from __future__ import annotations

from typing import Any

import keras

from tfloom.trainers.train_spec import TrainSpec


def optimizer(spec: TrainSpec, steps: int) -> keras.Optimizer:
    """The optimizer. steps: of an epoch."""
    told: dict[str, Any] = {"learning_rate": learning_rate(spec, steps), "global_clipnorm": spec.clip_norm}
    if spec.momentum is not None:
        told["momentum"] = spec.momentum
    if spec.optimizer == "adamw" and spec.weight_decay is not None:
        told["weight_decay"] = spec.weight_decay
    return keras.optimizers.get({"class_name": spec.optimizer, "config": told})


def learning_rate(spec: TrainSpec, steps: int) -> Any:
    """A number, or a schedule over the steps of training. steps: of an epoch."""
    rate: Any = spec.scaled_learning_rate
    if spec.schedule == "cosine":
        rate = keras.optimizers.schedules.CosineDecay(rate, spec.epochs * steps)
    if spec.schedule == "step":
        # Keras' boundaries are the last steps of a rate, ours the first of the next.
        boundaries = [steps * epochs - 1 for epochs in spec.milestones]
        rates = [rate * 0.1**i for i in range(len(boundaries) + 1)]
        rate = keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)
    return WarmUp(rate, spec.warm_up_epochs * steps) if spec.warm_up_epochs else rate


class WarmUp(keras.optimizers.schedules.LearningRateSchedule):
    """A rate that grows evenly to its own in the first steps (Goyal et al. 2017, arXiv:1706.02677, section 2.2)."""

    def __init__(self, rate: Any, steps: float) -> None:
        super().__init__()
        self.rate, self.steps = rate, steps

    def __call__(self, step: Any) -> Any:
        """The rate at a step, from 0."""
        rate = self.rate(step) if callable(self.rate) else self.rate
        return rate * keras.ops.minimum(1.0, (keras.ops.cast(step, "float32") + 1) / self.steps)

    def get_config(self) -> dict[str, Any]:
        """Its arguments, as Keras asks for them."""
        return {"rate": self.rate, "steps": self.steps}
