"""What every head says about itself: its loss, its predictions, its metrics and its signatures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np

from tfloom.feature_specs import discovery
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.labels import Label

HEADS = "tfloom.trainers.heads"


Evaluated = tuple[Mapping[str, np.ndarray], np.ndarray, np.ndarray]
"""Of a batch: the predictions by name, the labels [B] or [B, classes] and the weights, float32 [B], above 0."""


@dataclass(frozen=True)
class LossOutput:
    """What a head makes of a batch.

    per_example: float32 [B]. predictions: by name, batch first. terms: scalars to log beside the loss.
    """

    per_example: Any
    predictions: Mapping[str, Any]
    terms: Mapping[str, Any] = field(default_factory=dict)


class Network(Protocol):
    """What a head trains: call(features, training) -> float32 [B, units]."""

    def __call__(self, features: Mapping[str, Any], training: bool = False) -> Any:
        """Materialised columns of a batch, by name -> what `Head.units` asks for."""


class TrainedNetwork(Network, Protocol):
    """What is evaluated, exported and predicted with, whichever trainer made it."""

    @property
    def tf_variables(self) -> Sequence[Any]:
        """The tf.Variables that a SavedModel of it holds."""


class Head:
    """A task. A kind derives from it, one file a kind; the file's name is the head's name.

    monitor: the metric that early stopping and the choice of the best checkpoint look at, and whether more is better.
    estimator: the end of the canned Estimators' names that are the same task, Classifier or Regressor.
    """

    monitor: ClassVar[tuple[str, bool]] = ("loss", False)
    estimator: ClassVar[str | None] = None

    def __init__(self, label: Label) -> None:
        self.label = label
        self.check()

    def check(self) -> None:
        """Raise SpecError where it cannot learn the label."""

    @property
    def name(self) -> str:
        """Its module's."""
        return type(self).__module__.rpartition(".")[2]

    @property
    def units(self) -> int:
        """How many numbers it reads of the backbone."""
        raise NotImplementedError

    def loss(
        self, model: Network, features: Mapping[str, Any], labels: Any, seed: Any = None, training: bool = False
    ) -> LossOutput:
        """The loss of a batch.

        labels: [B], int64 or float32, or int64 [B, classes]. seed: int32 [2], for tf.random.stateless_*.
        """
        raise NotImplementedError

    def predictions(self, outputs: Any) -> dict[str, Any]:
        """The network's outputs [B, units] -> what is served, by name, batch first."""
        raise NotImplementedError

    def evaluate(self, batches: Iterable[Evaluated]) -> dict[str, Any]:
        """Metrics over batches, each row counted by its weight: numbers by name, and `curves` to draw."""
        raise NotImplementedError

    @property
    def classifies(self) -> bool:
        """Whether it has `classify`."""
        return type(self).classify is not Head.classify

    @property
    def regresses(self) -> bool:
        """Whether it has `regress`."""
        return type(self).regress is not Head.regress

    def classify(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        """TF Serving's classify: `classes` string [B, n], `scores` float32 [B, n]."""
        raise NotImplementedError

    def regress(self, predictions: Mapping[str, Any]) -> dict[str, Any]:
        """TF Serving's regress: `outputs` float32 [B]."""
        raise NotImplementedError


def head(label: Label, name: str | None = None) -> Head:
    """The head of this name for a label; without a name the label's own task. Raises SpecError."""
    made: Head = discovery.the_class(HEADS, name or label.task, Head, "head")(label)
    return made


def mismatch(head: str, label: Label, expected: str) -> SpecError:
    """The error of a head that cannot learn a label."""
    return SpecError(
        f"head: {head} cannot learn the label {label.name!r}",
        expected=expected,
        received=f"a label for {label.task}",
    )
