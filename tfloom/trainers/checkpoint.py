"""A checkpoint: everything that a resumed run needs to go on as if it had never stopped."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from tfloom.feature_specs.errors import ArtefactError
from tfloom.feature_specs.staging import publish
from tfloom.trainers.train_spec import EarlyStopping


@dataclass(frozen=True)
class Progress:
    """How far a run has come.

    epoch: epochs finished. step: steps taken in the epoch begun. loss: summed over these. best: the head's metric at
    its best, at the end of `best_epoch`; waited: epochs since. stopped: by early stopping.
    """

    epoch: int = 0
    step: int = 0
    loss: float = 0.0
    seconds: float = 0.0
    best: float | None = None
    best_epoch: int = 0
    waited: int = 0
    stopped: bool = False

    def after_epoch(self, value: float | None, more_is_better: bool, stopping: EarlyStopping | None) -> Progress:
        """At the end of the epoch that was begun; value: of the head's metric, None where there is no eval split.

        A metric that is not a number, such as the AUC of a single class, is no better than any, and worse than one that
        is: until there is one, the last epoch is the best.
        """
        value = None if value is None or math.isnan(value) else value
        done = Progress(self.epoch + 1, best=self.best, best_epoch=self.best_epoch, waited=self.waited + 1)
        if self.best is None or (value is not None and (value > self.best if more_is_better else value < self.best)):
            done = replace(done, best=value, best_epoch=done.epoch, waited=0)
        return replace(done, stopped=bool(stopping and done.waited >= stopping.patience))

    @property
    def is_best(self) -> bool:
        """Whether the epoch finished last is the best so far."""
        return self.best_epoch == self.epoch


def variables(model: keras.Model, optimizer: keras.Optimizer | None = None) -> list[keras.Variable]:
    """All that training changes: weights, statistics, every SeedGenerator's state and the optimizer's slots."""
    return [*model.variables, *(optimizer.variables if optimizer else [])]


def save(
    folder: Path, model: keras.Model, optimizer: keras.Optimizer | None, progress: Progress, history: Sequence[Any]
) -> None:
    """Write `folder`, whole or not at all; without an optimizer no training goes on from it."""
    staging = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(staging, ignore_errors=True)
    staging.mkdir(parents=True)
    arrays = {f"{i:05d} {v.path}": np.asarray(v.value) for i, v in enumerate(variables(model, optimizer))}
    np.savez(staging / "variables.npz", **arrays)  # type: ignore[arg-type]
    (staging / "progress.json").write_text(json.dumps({"progress": asdict(progress), "history": list(history)}))
    publish(staging, folder)


def restore(folder: Path, model: keras.Model, optimizer: keras.Optimizer | None = None) -> tuple[Progress, list[Any]]:
    """Put what `save` wrote into the model, and the optimizer where one is given. Raises ArtefactError."""
    with reading(folder), np.load(folder / "variables.npz") as arrays:
        saved: Mapping[str, np.ndarray] = {name.partition(" ")[0]: arrays[name] for name in arrays.files}
        state = json.loads((folder / "progress.json").read_text())
    for i, variable in enumerate(variables(model, optimizer)):
        value = saved.get(f"{i:05d}")
        if value is None or value.shape != tuple(variable.shape):
            raise ArtefactError(
                f"{folder}: is no checkpoint of this model",
                expected=f"{variable.path} of shape {tuple(variable.shape)}",
                received="nothing" if value is None else f"shape {value.shape}",
            )
        variable.assign(value)
    return Progress(**state["progress"]), state["history"]


@contextlib.contextmanager
def reading(folder: Path) -> Any:
    """Turn what goes wrong in reading a checkpoint into an ArtefactError."""
    try:
        yield
    except (OSError, KeyError, json.JSONDecodeError) as error:
        raise ArtefactError(
            f"{folder}: cannot be read", expected="a checkpoint, as `tfloom train` writes it", received=str(error)
        ) from None
