"""The variables that a canned Estimator left behind: in a checkpoint, or in a SavedModel that it exported."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from tfloom.feature_specs.errors import ArtefactError, SpecError

PARTS = {"wide": "linear/", "deep": "dnn/"}
"""The parts of our backbones, and how the names of their variables begin in an Estimator."""


class Variables:
    """The variables of a checkpoint. Partitioned ones are read as one.

    shapes: by name. parts: those of PARTS that the Estimator has. read: the names of those that were asked for.
    """

    def __init__(self, reader: Any) -> None:
        self._reader = reader
        self.read: set[str] = set()
        self.shapes: dict[str, tuple[int, ...]] = {
            name: tuple(shape) for name, shape in reader.get_variable_to_shape_map().items()
        }
        self.parts = tuple(part for part, start in PARTS.items() if any(n.startswith(start) for n in self.shapes))

    @classmethod
    def open(cls, source: Path) -> Variables:
        """Raises ArtefactError where there is no checkpoint, or none of a canned Estimator."""
        expected = "the model_dir of a canned Estimator, one of its checkpoints, or a SavedModel that it exported"
        saved_model = source / "variables" / "variables"
        if saved_model.with_suffix(".index").is_file():
            path: str | None = str(saved_model)
        else:
            path = tf.train.latest_checkpoint(str(source)) if source.is_dir() else str(source)
        try:
            found = cls(tf.train.load_checkpoint(path or str(source)))
        except (ValueError, tf.errors.OpError) as error:
            raise ArtefactError(
                f"{source}: holds no checkpoint", expected=expected, received=str(error).strip().split("\n")[0]
            ) from None
        if not found.parts:
            raise ArtefactError(
                f"{source}: is no checkpoint of a canned Estimator",
                expected="variables whose names begin with linear/ or dnn/",
                received=", ".join(sorted(found.shapes)[:5]) or "no variables",
            )
        return found

    def value(self, name: str) -> np.ndarray:
        """Raises SpecError where there is none of this name."""
        if name not in self.shapes:
            scope, _, last = name.rpartition("/")
            siblings = f"{scope.rpartition('/')[0]}/"
            raise SpecError(
                f"the Estimator has no variable {name}",
                expected="the columns that it was made of, and a linear, DNN or combined Estimator",
                received=", ".join(sorted(n for n in self.shapes if n.startswith(siblings) and n.endswith(last)))[:300]
                or f"none under {siblings}",
            )
        self.read.add(name)
        return np.asarray(self._reader.get_tensor(name))

    def table(self, part: str, column: Any) -> str:
        """The name of the table of an embedding, wherever its input layer is."""
        if (made := getattr(column, "shared_embedding_column_creator", None)) is not None:
            # tf.feature_column.shared_embeddings; an Estimator of TensorFlow 2 has it beside the parts.
            within = (name for name in sorted(self.shapes) if name.startswith(PARTS[part]))
            return next((name for name in within if name.endswith(f"/{made._name}")), str(made._name))
        # Columns that share a table have its name, too.
        shared = getattr(column, "shared_embedding_collection_name", column.name)
        end = f"{scope(shared)}/embedding_weights"
        found = (name for name in sorted(self.shapes) if name.startswith(PARTS[part]) and name.endswith(f"/{end}"))
        return next(found, f"{PARTS[part]}{end}")

    @property
    def hidden(self) -> tuple[int, ...]:
        """The units of each hidden layer."""
        widths: list[int] = []
        while shape := self.shapes.get(f"dnn/hiddenlayer_{len(widths)}/kernel"):
            widths.append(shape[1])
        return tuple(widths)

    @property
    def logits(self) -> int:
        """How many numbers the Estimator's head reads."""
        return len(self.value("dnn/logits/bias" if "deep" in self.parts else "linear/linear_model/bias_weights"))


def scope(name: str) -> str:
    """A column's name as that of a variable scope."""
    return re.sub(r"[^A-Za-z0-9_.\-]", "_", name)
