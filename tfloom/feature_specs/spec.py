"""The spec: one declarative value that says what a model sees of a row, and what it learns."""

from __future__ import annotations

import graphlib
import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    ValidationError,
    ValidationInfo,
    model_validator,
)  # fmt: skip

from tfloom.feature_specs import discovery, storage, where
from tfloom.feature_specs.column import CategoricalColumn, Column
from tfloom.feature_specs.errors import SpecError, nearest
from tfloom.feature_specs.features import Categorical
from tfloom.feature_specs.inputs import TENSORFLOW_DTYPES, Input, served_name, tensor_name
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.split import ByHash, Split
from tfloom.feature_specs.validation import explain
from tfloom.feature_specs.weight import Weight

KINDS = "tfloom.feature_specs.columns"

BATCH_ROWS = 1_000
PIXELS = 2**23
"""Of all rows that a model is asked for at once: 32 MiB of float32, and several times that inside of a network."""


def kind(name: str, place: str = "kind") -> type[Column]:
    """The class of a column kind. Raises SpecError where there is none of this name."""
    return discovery.the_class(KINDS, name, Column, place)


def _column(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, Mapping):
        return value
    if "kind" not in value:
        raise SpecError("kind: is missing", expected=f"one of {', '.join(discovery.names(KINDS))}")
    cls = kind(str(value["kind"]))
    try:
        return cls.model_validate(value)
    except ValidationError as error:
        raise explain(error, cls, value) from None


class FeatureSpec(BaseModel):
    """The columns of a model, its labels and how rows are taken and split. A frozen value; see docs/spec.md.

    columns: a DAG of named columns. `source` names inputs, columns of the data; `of` names columns of the spec.
    groups: columns by the part of the model that reads them, such as wide and deep; left out, every column that no
      other is made of, in one group.
    weight: how much each row counts, in training and in metrics; left out, all the same.
    key: the columns of the data that name a row: for splits, and to stand beside its predictions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    inputs: dict[str, Input] = {}
    columns: Annotated[tuple[Annotated[SerializeAsAny[Column], BeforeValidator(_column)], ...], Field(min_length=1)]
    labels: tuple[Label, ...] = ()
    weight: Weight | None = None
    key: tuple[str, ...] = ()
    where: str | None = None
    split: Split = ByHash()
    groups: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = {}

    @model_validator(mode="after")
    def _holds_together(self) -> FeatureSpec:
        by_name = self.by_name
        everything = [c.name for c in self.columns] + [label.name for label in self.labels]
        for i, name in enumerate(everything):
            if name in everything[:i]:
                raise SpecError(f"{name!r} names two columns or labels", expected="a name of its own for each")
        for column in self.columns:
            for parent in column.parents():
                if parent not in by_name:
                    raise SpecError(f"columns.{column.name}.of: there is no column {parent!r}",
                                    expected=nearest(parent, by_name), received=repr(parent))  # fmt: skip
            column.check(by_name)
            column.check_inputs(self.inputs)
            self._check_learning(column)
        _ = self.in_order
        self._check_inputs()
        self._check_groups()
        if self.where is not None:
            where.parse(self.where)
        return self

    def _check_inputs(self) -> None:
        names = self.input_names
        for name in self.inputs:
            if name not in names:
                raise SpecError(f"inputs.{name}: no column reads it", expected=nearest(name, names),
                                received=repr(name))  # fmt: skip
        for label in self.labels:
            if label.name in names:
                reader = next(column.name for column in self.columns if label.name in column.inputs())
                raise SpecError(f"labels.{label.name}: columns.{reader} reads an input of this name",
                                expected="another name; `source` says what it is made from",
                                received=repr(label.name))  # fmt: skip
        served: dict[str, str] = {}
        for name in names:
            other = served.setdefault(tensor_name(served_name(name)), name)
            if other != name:
                raise SpecError(f"columns: the inputs {other!r} and {name!r} are one name to a client",
                                expected="names that differ in letters, digits or _, and not in case alone",
                                received=served_name(name))  # fmt: skip

    def _check_learning(self, column: Column) -> None:
        labels = {label.name: label for label in self.labels}
        for name in column.labels():
            if name not in labels:
                raise SpecError(f"columns.{column.name}: there is no label {name!r}",
                                expected=nearest(name, labels), received=repr(name))  # fmt: skip
        column.check_labels(labels)
        for parent in column.parents():
            # What is encoded in the model is, in training, the training form; what is materialised has none.
            if self.by_name[parent].has_training_form and parent not in column.encodes():
                raise SpecError(f"columns.{column.name}: {column.kind} would tell a model its own labels by {parent!r}",
                                expected="columns that are not trained on another form than is served",
                                received=f"{parent!r}, which is {self.by_name[parent].kind}")  # fmt: skip

    def _check_groups(self) -> None:
        for group, members in self.groups.items():
            for i, member in enumerate(members):
                if member not in self.by_name:
                    raise SpecError(f"groups.{group}: there is no column {member!r}",
                                    expected=nearest(member, self.by_name), received=repr(member))  # fmt: skip
                if member in members[:i]:
                    raise SpecError(f"groups.{group}: names {member!r} more than once", expected="each column once",
                                    received=", ".join(members)[:200])  # fmt: skip

    # -- what follows from it ---------------------------------------------------------------------------------------

    @property
    def by_name(self) -> dict[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}

    @property
    def in_order(self) -> tuple[Column, ...]:
        """The columns, each after those it is made of."""
        by_name = self.by_name
        graph = graphlib.TopologicalSorter({c.name: c.parents() for c in self.columns})
        try:
            return tuple(by_name[name] for name in graph.static_order())
        except graphlib.CycleError as error:
            raise SpecError("columns: a column is made of itself", expected="columns made of others, without a cycle",
                            received=" -> ".join(error.args[1])) from None  # fmt: skip

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs that columns read, in the order of the columns: what a client sends."""
        return tuple(dict.fromkeys(name for column in self.columns for name in column.inputs()))

    def source(self, name: str) -> str:
        """The column of the data that an input is read from."""
        return self.inputs.get(name, Input()).source or name

    @property
    def input_sources(self) -> tuple[str, ...]:
        """The columns of the data that inputs are read from."""
        return tuple(dict.fromkeys(map(self.source, self.input_names)))

    @property
    def data_names(self) -> tuple[str, ...]:
        """Every column of the data that is read: for inputs, labels, weight, `where`, split and key."""
        return tuple(dict.fromkeys((*self.input_sources, *self.other_names)))

    @property
    def other_names(self) -> tuple[str, ...]:
        """Those that are read beside inputs: for labels, weight, `where`, split and key."""
        of_split = getattr(self.split, "of", ()) or (
            (self.split.source,) if not isinstance(self.split, ByHash) else self.key
        )
        of_where = where.names(where.parse(self.where)) if self.where else ()
        labels = tuple(label.input for label in self.labels)
        weight = () if self.weight is None else (self.weight.source,)
        return tuple(dict.fromkeys((*labels, *weight, *of_where, *of_split, *self.key)))

    @property
    def columns_read(self) -> tuple[str, ...] | None:
        """The columns of the data to read when it is materialised; None for all, where the whole row is hashed."""
        rule = self.split
        whole_row = isinstance(rule, ByHash) and not rule.of and not self.key and rule.eval + rule.test > 0
        return None if whole_row else self.data_names

    @property
    def chunk_rows(self) -> int | None:
        """How many rows to ingest at once at most; None: any number."""
        return min((rows for column in self.columns if (rows := column.chunk_rows()) is not None), default=None)

    @property
    def materialised(self) -> tuple[Column, ...]:
        """The columns that have a value of their own in the transform output."""
        return tuple(column for column in self.columns if column.transformed_type is not None)

    @property
    def categorical(self) -> tuple[CategoricalColumn, ...]:
        """The columns whose value is ids."""
        return tuple(column for column in self.columns if isinstance(column, CategoricalColumn))

    @property
    def model_groups(self) -> dict[str, tuple[Column, ...]]:
        """The columns by group; without `groups`, one group `features` of the columns that no other is made of."""
        by_name = self.by_name
        used = {parent for column in self.columns for parent in column.parents()}
        groups = self.groups or {"features": tuple(name for name in by_name if name not in used)}
        return {group: tuple(by_name[name] for name in members) for group, members in groups.items()}

    @property
    def model_inputs(self) -> tuple[Column, ...]:
        """The materialised columns that the groups read, directly or through `of`."""
        members = (column for group in self.model_groups.values() for column in group)
        return tuple(column for column in self.encoded(members) if column.transformed_type is not None)

    @property
    def batch_rows(self) -> int:
        """How many rows a model is asked for at once where nobody says: BATCH_ROWS, or as many as PIXELS allow."""
        pixels = sum(column.encoded_size for column in self.model_inputs)
        return max(1, min(BATCH_ROWS, PIXELS // max(pixels, 1)))

    def encoded(self, columns: Iterable[Column]) -> tuple[Column, ...]:
        """These columns and those that they encode, each once, a column before what it encodes."""
        found: dict[str, Column] = {}
        left = list(columns)[::-1]
        while left:
            column = left.pop()
            if column.name not in found:
                found[column.name] = column
                left += [self.by_name[name] for name in reversed(column.encodes())]
        return tuple(found.values())

    def num_buckets(self, vocabulary_sizes: Mapping[str, int]) -> dict[str, int]:
        """The number of ids of every column that has ids; `vocabulary_sizes` is that of every learned vocabulary."""
        told: dict[str, int] = {}
        for column in self.in_order:
            if isinstance(column, CategoricalColumn):
                vocabulary = column.learned_vocabulary()
                told[column.name] = column.num_buckets(vocabulary_sizes[vocabulary] if vocabulary else 0)
            elif column.feature_type() is Categorical:  # it encodes another's ids
                told[column.name] = told[column.encodes()[0]]
        return told

    def label(self, name: str | None = None) -> Label:
        """The label of this name, or the only one."""
        if name is None and len(self.labels) == 1:
            return self.labels[0]
        for label in self.labels:
            if label.name == name:
                return label
        names = [label.name for label in self.labels]
        raise SpecError(f"labels: there is no label {name!r}" if name else "labels: not exactly one",
                        expected=nearest(name or "", names), received=", ".join(names) or "no labels")  # fmt: skip

    def raw_feature_spec(self) -> dict[str, Any]:
        """How tf.Examples of parsed rows read, inputs resolved: each has any number of values; missing is none."""
        import tensorflow as tf

        return {
            name: tf.io.VarLenFeature(tf.as_dtype(TENSORFLOW_DTYPES[self.inputs[name].dtype]))
            for name in self.input_names
        }

    # -- files ------------------------------------------------------------------------------------------------------

    def to_dict(self) -> dict[str, Any]:
        """Plain values, without what is left at its default."""
        values: dict[str, Any] = json.loads(self.model_dump_json(exclude_defaults=True))
        for column, written in zip(self.columns, values["columns"], strict=True):
            rest = {key: value for key, value in written.items() if key != "name"}
            written.clear()
            written |= {"name": column.name, "kind": column.kind} | rest
        if "split" in values or not isinstance(self.split, ByHash):
            values["split"] = {"by": self.split.by} | values.get("split", {})
        return {"version": self.version} | values

    def to_json(self) -> str:
        """As `load_spec` reads it from a .json file."""
        return json.dumps(self.to_dict(), indent=2) + "\n"

    def __repr__(self) -> str:
        return f"FeatureSpec:\n{textwrap.indent(self.to_yaml(), '  ')}"

    def to_yaml(self) -> str:
        """As `load_spec` reads it from a .yaml file."""
        return str(yaml.safe_dump(self.to_dict(), sort_keys=False, width=120, default_flow_style=None))

    def check_files(self) -> None:
        """Raise SpecError where a file that a column names is absent."""
        for column in self.columns:
            for field in column.file_fields:
                path = getattr(column, field)
                # A TensorFlow checkpoint is several files, named by what they begin with.
                if path is not None and not (storage.is_file(path) or storage.is_file(f"{path}.index")):
                    raise SpecError(f"columns.{column.name}.{field}: there is no such file",
                                    expected="a file; a relative path starts at the spec's folder",
                                    received=str(path))  # fmt: skip


def load_spec(path: str | Path) -> FeatureSpec:
    """Read a spec from a .yaml or .json file.

    Raises:
      SpecError: with file and line, where the file cannot be read or is no spec.
    """
    from tfloom.feature_specs.validation import load

    spec = load(Path(path), FeatureSpec)
    folder = Path(path).parent
    columns = []
    for column in spec.columns:
        files = {field: getattr(column, field) for field in column.file_fields if getattr(column, field) is not None}
        # Absolute, so that the spec means the same file wherever it is written to or used.
        columns.append(column.model_copy(update={k: storage.absolute(folder, path) for k, path in files.items()}))
    spec = spec.model_copy(update={"columns": tuple(columns)})
    spec.check_files()
    return spec


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a spec, for editors: every kind with its fields."""
    schema = FeatureSpec.model_json_schema()
    definitions = schema["$defs"]
    definitions.pop("Column", None)
    kinds = []
    for name in discovery.names(KINDS):
        of_kind = kind(name).model_json_schema()
        definitions.update(of_kind.pop("$defs", {}))
        of_kind["required"] = sorted({*of_kind.get("required", ()), "kind"})
        definitions[name] = of_kind
        kinds.append({"$ref": f"#/$defs/{name}"})
    schema["properties"]["columns"]["items"] = {"oneOf": kinds}
    definitions["ByHash"]["required"] = ["by"]  # it has a default for Python alone
    return schema
