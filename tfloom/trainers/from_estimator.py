"""From a trained canned Estimator to our Keras model: the variables of its checkpoint, placed by their names.

tf.estimator and tf.compat.v1.estimator give them the same names. What a checkpoint does not say has to be told: the
columns, the label and the activation.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfloom.feature_specs import parsed_rows
from tfloom.feature_specs.column import Column
from tfloom.feature_specs.converters import feature_columns
from tfloom.feature_specs.directories import ModelDirectory, TransformOutput, write_json
from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.trainers import checkpoint, inputs, predictor
from tfloom.trainers.backbones.dnn import DnnLayer
from tfloom.trainers.backbones.linear import LinearLayer
from tfloom.trainers.checkpoint import Progress
from tfloom.trainers.estimator_variables import Variables, scope
from tfloom.trainers.export import golden_rows
from tfloom.trainers.head import head
from tfloom.trainers.model_directory import open_training, publish
from tfloom.trainers.network import Network, build
from tfloom.trainers.train_spec import TrainSpec

BACKBONES = {("wide",): "linear", ("deep",): "dnn", ("wide", "deep"): "wide_deep"}

COMPARED = 1_000
"""How many rows a SavedModel and our model are compared on, at most."""


@dataclass(frozen=True)
class Converted:
    """A model that an Estimator learned.

    left_out: what of the Estimator is not in the model, by variable, and why; predictions are then not the Estimator's.
    of_training: the variables that training alone needs: what optimizers keep, and global_step.
    difference: the greatest between the probabilities that the Estimator's SavedModel and the model predict, or the
      numbers, on rows of the transform output; None where the Estimator is no SavedModel that reads their tf.Examples.
    """

    model: ModelDirectory
    left_out: Mapping[str, str]
    of_training: tuple[str, ...]
    difference: float | None


def spec(source: Path, columns: Any, label: Mapping[str, Any] | None = None) -> Draft:
    """The spec of an Estimator's tf.feature_columns, in the groups that the parts of a model read.

    source, columns: as for `convert`. label: the fields of the label that it learned, where they are to be in the spec.

    Raises SpecError, ArtefactError.
    """
    variables = Variables.open(source)
    groups = _of_parts(feature_columns.by_group(columns), variables)
    return feature_columns.draft(groups, "From a canned Estimator.", [] if label is None else [label])


def convert(
    source: Path,
    columns: Any,
    output: TransformOutput,
    out: Path,
    *,
    activation: str = "relu",
    label: str | None = None,
    overwrite: bool = False,
) -> Converted:
    """Write the model directory `out`: over a transform output of the spec above, with the weights of an Estimator.

    A column of the spec is the one that `spec` would write, or, where it would leave that out, one of the same name.

    Args:
      source: the Estimator's model_dir, a checkpoint, or a SavedModel that it exported.
      columns: its tf.feature_columns, as converters.feature_columns reads them: a list, or those of the linear part
        and those of the dnn part.
      activation: Keras' name of that of the hidden layers.
      label: of the spec, where it has several.

    Raises:
      SpecError: where the columns, the spec or the label are not what the Estimator learned from. ArtefactError.
    """
    variables = Variables.open(source)
    groups = feature_columns.by_group(columns)
    of_parts = _of_parts(groups, variables)
    train_spec = _train_spec(variables, output.spec, activation, label)
    network, _ = build(output.spec, output.num_buckets, train_spec)
    placing = _Placing(variables, network, output.spec, of_parts)
    placing.everything()
    folder = open_training(out, output, train_spec, overwrite)
    checkpoint.save(folder / "checkpoints" / "best", network, None, Progress(), [])
    write_json(folder / "history.json", [])
    model = publish(folder, out)
    difference = _difference(source, model, output, [column for part in groups.values() for column in part])
    return Converted(model, placing.left_out, placing.of_training, difference)


def _of_parts(groups: Mapping[str, list[Any]], variables: Variables) -> dict[str, list[Any]]:
    """The columns of each part of the Estimator; a plain list is that of its only part."""
    parts = variables.parts
    if len(parts) == 1 and len(groups) == 1:
        return {parts[0]: next(iter(groups.values()))}
    if not groups.keys() >= {*parts}:
        raise SpecError(
            "convert: the columns are not those of each part of the Estimator",
            expected="the columns of the linear part as the group wide, those of the dnn part as the group deep",
            received=f"the groups {', '.join(groups)}",
        )
    return {part: groups[part] for part in parts}


def _train_spec(variables: Variables, spec: FeatureSpec, activation: str, label: str | None) -> TrainSpec:
    """What the model is made of. Raises SpecError where the label is not what the Estimator learned."""
    backbone: dict[str, Any] = {"name": BACKBONES[variables.parts]}
    if "deep" in variables.parts:
        # Dropout leaves no trace, and predictions have none.
        norm = "dnn/hiddenlayer_0/batchnorm_0/gamma" in variables.shapes
        backbone |= {"hidden": variables.hidden, "activation": activation, "dropout": 0, "batch_norm": norm}
    learned, logits = spec.label(label), variables.logits
    # Of two classes that have names, too, an Estimator has one logit.
    task = "binary_classification" if len(learned.class_names) == 2 and logits == 1 else None
    units = head(learned, task).units
    if units != logits:
        raise SpecError(
            f"labels.{learned.name}: is not what the Estimator learned",
            expected="one of two classes, or a number" if logits == 1 else f"one of {logits} classes",
            received=f"a label for {learned.task} with {units} logits",
        )
    return validate({"label": label, "head": task, "backbone": backbone}, TrainSpec, "convert")


class _Placing:
    """The variables of an Estimator on their way into a network.

    left_out: of which there is none in the network, by name, with why. of_training: see Converted.
    """

    def __init__(
        self, variables: Variables, network: Network, spec: FeatureSpec, groups: Mapping[str, list[Any]]
    ) -> None:
        self.variables, self.network = variables, network
        self.parts: Mapping[str, tuple[Column, ...]] = network.columns.parts
        self.widths = _widths(network, spec)
        self.left_out: dict[str, str] = {}
        self.of_training: tuple[str, ...] = ()
        self._set: dict[int, str] = {}  # by id of our variable, the name of theirs
        self._writer, self._names = feature_columns.written(groups)
        self.matched = {part: self._matched(part, columns) for part, columns in groups.items()}

    def _matched(self, part: str, columns: list[Any]) -> dict[Any, str | None]:
        """By tf.feature_column ours in a part, None where the spec has none there."""
        ours = {column.name for column in self.parts[part]}
        names = {column: self._name(part, column) for column in columns}
        if unknown := ours - {*names.values()}:
            raise SpecError(
                f"columns.{min(unknown)}: the {part} part of the Estimator has no such column",
                expected=f"of the columns {', '.join(name for name in names.values() if name)}",
                received=", ".join(sorted(ours)),
            )
        return {column: name if name in ours else None for column, name in names.items()}

    def _name(self, part: str, column: Any) -> str | None:
        """Of ours that is the same; of one that cannot be said, which the user may have added, by its own name."""
        own = feature_columns.own_name(column)
        return self._names[part].get(column, None if own in self._writer.columns else own)

    def everything(self) -> None:
        """Place all there is. Raises SpecError where something is of another shape, or a variable stays without."""
        backbone = self.network.backbone
        for part in self.variables.parts:
            self._place_tables(part)
        if "wide" in self.variables.parts:
            self._place_linear(getattr(backbone, "wide", backbone))
        if "deep" in self.variables.parts:
            self._place_dnn(getattr(backbone, "deep", backbone))
        for variable in self.network.variables:
            if id(variable) not in self._set:
                raise SpecError(f"the Estimator has nothing for {variable.path}", expected="the columns it was made of",
                                received=f"a variable of shape {tuple(variable.shape)}")  # fmt: skip
        known = self.variables.read | self.left_out.keys()
        rest = sorted(self.variables.shapes.keys() - known)
        self.of_training = tuple(name for name in rest if _is_of_training(name, known))
        for name in rest:
            if name not in self.of_training:
                self.left_out[name] = f"of shape {self.variables.shapes[name]}, it has no place in the model"

    def _place_tables(self, part: str) -> None:
        for theirs, ours in self.matched[part].items():
            if not (hasattr(theirs, "dimension") or hasattr(theirs, "shared_embedding_column_creator")):
                continue  # no embedding
            name = self.variables.table(part, theirs)
            value = self.variables.value(name)
            if ours is None:
                self._leave(name, theirs)
                continue
            if (table := self.network.columns.tables[ours].get("table")) is None:
                raise _mismatch(name, "an embedded column", f"the column {ours}, which has no table")
            before = self._set.get(id(table), name)
            if before == name or np.array_equal(value, table):
                self._assign(table, name, value)
            else:
                self.left_out[name] = f"the column {ours} has one table, and that is {before}"

    def _place_linear(self, layer: LinearLayer) -> None:
        rows: dict[str, np.ndarray] = {}
        for theirs, ours in self.matched["wide"].items():
            name = f"linear/linear_model/{scope(theirs.name)}/weights"
            value = self.variables.value(name)
            if ours is None:
                self._leave(name, theirs)
            elif ours in layer.tables:
                self._assign(layer.tables[ours], name, value)
            else:
                rows[ours] = self._rows("wide", ours, name, value)
        if rows:
            numbers = np.concatenate([rows[column.name] for column in self.parts["wide"] if column.name in rows])
            self._assign(layer.kernel.kernel, "linear/linear_model/*/weights", numbers)
        self._assign(layer.bias, "linear/linear_model/bias_weights")

    def _place_dnn(self, layer: DnnLayer) -> None:
        names = [*(f"dnn/hiddenlayer_{i}" for i in range(len(self.variables.hidden))), "dnn/logits"]
        denses = (step for step in layer.steps if isinstance(step, keras.layers.Dense))
        for name, dense in zip(names, denses, strict=True):
            kernel = f"{name}/kernel"
            self._assign(dense.kernel, kernel, self._in_our_order(kernel) if name == names[0] else None)
            self._assign(dense.bias, f"{name}/bias")
        # Ours normalises before dropout and theirs after it: of predictions, which have no dropout, it is the same.
        norms = (step for step in layer.steps if isinstance(step, keras.layers.BatchNormalization))
        for i, norm in enumerate(norms):
            for field in ("gamma", "beta", "moving_mean", "moving_variance"):
                self._assign(getattr(norm, field), f"dnn/hiddenlayer_{i}/batchnorm_{i}/{field}")

    def _in_our_order(self, name: str) -> np.ndarray:
        """The rows of the first kernel: an Estimator has its columns side by side in the order of their names."""
        kernel, start = self.variables.value(name), 0
        rows: dict[str, np.ndarray] = {}
        for theirs in sorted(self.matched["deep"], key=lambda column: str(column.name)):
            # A column of shared_embedding_columns, of TensorFlow 1, has no public name for it.
            shape = theirs.variable_shape if hasattr(theirs, "variable_shape") else theirs._variable_shape
            stop = start + shape.num_elements()
            ours = self.matched["deep"][theirs]
            if ours is None:
                self._leave(f"{name}[{start}:{stop}]", theirs)
            else:
                rows[ours] = self._rows("deep", ours, f"{name}[{start}:{stop}]", kernel[start:stop])
            start = stop
        if start != len(kernel):
            raise SpecError(
                f"the columns of the dnn part are not those of {name}",
                expected=f"columns that give {len(kernel)} numbers",
                received=f"{start} numbers of {', '.join(sorted(c.name for c in self.matched['deep']))}",
            )
        return np.concatenate([rows[column.name] for column in self.parts["deep"]])

    def _rows(self, part: str, ours: str, name: str, value: np.ndarray) -> np.ndarray:
        if (width := self.widths[part][ours]) != len(value):
            raise _mismatch(name, f"a row for each of the {width} numbers of the column {ours}", f"{len(value)} rows")
        return value

    def _assign(self, variable: Any, name: str, value: np.ndarray | None = None) -> None:
        value = self.variables.value(name) if value is None else value
        if value.shape != tuple(variable.shape):
            raise _mismatch(name, f"shape {tuple(variable.shape)}, as {variable.path} has it", f"shape {value.shape}")
        variable.assign(value)
        self._set[id(variable)] = name

    def _leave(self, name: str, theirs: Any) -> None:
        why = self._writer.left_out.get(theirs.name, "the spec has no such column in this part")
        self.left_out[name] = f"of {theirs.name}: {why}"


def _widths(network: Network, spec: FeatureSpec) -> dict[str, dict[str, int]]:
    """How many numbers each dense column of a part has."""
    row = {
        name: tf.zeros([size or 1 for size in one.shape], one.dtype)
        for name, one in inputs.signature(spec.model_inputs).items()
    }
    told = network.columns.call(row)
    return {
        part: {
            column.name: int(one.values.shape[-1])
            for column, one in zip(columns, told[part], strict=True)
            if isinstance(one, Dense)
        }
        for part, columns in network.columns.parts.items()
    }


def _difference(source: Path, model: ModelDirectory, output: TransformOutput, columns: Sequence[Any]) -> float | None:
    """See Converted."""
    if not (source / "saved_model.pb").is_file():
        return None
    signature = tf.saved_model.load(str(source)).signatures.get("predict")
    given = {} if signature is None else signature.structured_input_signature[1]
    if [(one.dtype, one.shape.rank) for one in given.values()] != [(tf.string, 1)]:
        return None
    parsed, rows = golden_rows(output, COMPARED)
    arrow = {tf.float32: pa.float32(), tf.int64: pa.int64(), tf.string: pa.binary()}
    read = tf.feature_column.make_parse_example_spec(columns)
    values = {name: parsed.column(name) for name in output.spec.input_names}
    for name, one in read.items():
        if name in values:  # an integer of our data may be a float to them
            values[name] = values[name].cast(pa.list_(arrow[one.dtype]))
    examples = parsed_rows.examples(pa.RecordBatch.from_pydict(values), [*values])
    try:
        theirs = signature(**dict.fromkeys(given, tf.constant(examples)))
    except tf.errors.InvalidArgumentError:  # it reads other features beside, or none of its strings is a tf.Example
        return None
    ours = predictor.of_model(model)(rows)
    predicted = "probabilities" if "probabilities" in theirs else "predictions"
    return float(np.abs(theirs[predicted].numpy() - ours[predicted]).max())


def _is_of_training(name: str, known: set[str]) -> bool:
    """Whether it is a counter or what an optimizer keeps, of a variable that is known or of none."""
    return (
        name == "global_step"
        or name.startswith("training/")
        or re.search(r"(^|/)beta[12]_power$", name) is not None
        or any(name.startswith(f"{one}/") for one in known)
    )


def _mismatch(name: str, expected: str, received: str) -> SpecError:
    return SpecError(f"{name} is of another column than the spec's", expected=expected, received=received)
