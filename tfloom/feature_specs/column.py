"""What every kind of feature column says about itself, in the four stages ingest, transform, encode and augment."""

from __future__ import annotations

import functools
import math
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Categorical, Feature
from tfloom.feature_specs.initializers import Initializer
from tfloom.feature_specs.inputs import Dtype, Input
from tfloom.feature_specs.saved_table import SavedTable

if TYPE_CHECKING:
    from tfloom.feature_specs.labels import Label

Name = Field(pattern=r"^[A-Za-z][A-Za-z0-9_.-]*$")

Buckets = Annotated[int, Field(ge=1, le=2**31 - 1)]
"""How many ids a column has. Ids are int64, but what TensorFlow makes of them (tf.one_hot) counts them in int32."""


@dataclass(frozen=True)
class Transformed:
    """How a column is materialised, one feature of a tf.Example.

    dtype "float32" with a dimension D: [B, D]. dtype "int64" without one: ids, any number a row; -1 is
    out-of-vocabulary, and the right padding where a batch of them is made dense. dtype "float32" without one: numbers,
    any number a row, none of them NaN, which is their right padding. dtype "bytes": [B]; of many, any number a row,
    none of them empty, which is their right padding.
    """

    dtype: Dtype
    dimension: int | None = None
    many: bool = False


@dataclass(frozen=True)
class Augmented:
    """What a column's `augment` gives of a row.

    dtype: such as "uint8". shape: without the batch.
    """

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class ServedForm:
    """A form in which a client may send a column's value, beside the raw row, to a model that reads that column alone.

    dtype, shape: of a row, None where a size is open. read: values [B, *shape] -> what `encode` is given of them.
    golden: a materialised value [1, ...] -> one of these, [1, *shape].
    """

    dtype: str
    shape: tuple[int | None, ...]
    read: Callable[[Any], Any]
    golden: Callable[[Any], Any]


@dataclass(frozen=True)
class Variable:
    """A variable of the model that `encode` reads.

    shape: of its float32 values. initializer: how they start. trainable: whether training changes them.
    shared: a name; the variables that say the same one are one, and are alike in all that is said here.
    saved: what they start from instead, once, before the first step.
    """

    shape: tuple[int, ...]
    initializer: Initializer
    trainable: bool = True
    shared: str | None = None
    saved: SavedTable | None = None


class Values(Protocol):
    """What a column's `transform` may read."""

    columns: Mapping[str, Column]

    def ragged(self, name: str) -> Any:
        """An input as it was parsed: RaggedTensor [B, None]; a missing value is an empty row."""

    def first(self, name: str) -> Any:
        """A float input: float32 [B, 1], NaN where missing."""

    def scalar(self, name: str) -> Any:
        """The same, [B]."""

    def vector(self, name: str, size: int) -> Any:
        """A float input of vectors: float32 [B, size], NaN where missing, and in the whole of a vector of another size.

        Such a vector is rejected while rows are ingested; what is served cannot reject one.
        """

    def categorical(self, name: str) -> Any:
        """A string or int input without '' and -1, which a tf.feature_column drops: ragged [B, None]."""

    def seconds(self, name: str) -> Any:
        """A string or int input of times: seconds since 1970, int64 [B], calendar.MISSING where there is no time."""

    def key(self, name: str) -> Any:
        """A string or int input by which rows are told apart, as text: string [B], '' where missing."""

    def column(self, name: str) -> Any:
        """Another column, transformed."""

    def label(self, name: str) -> Any:
        """A label that `labels` names: int64 [B], -1 where missing and kept, or for a number float32 [B] with NaN.

        A served model is not fed it: nothing that `transform` returns may depend on it but by what analyzers learn.
        """

    def fold(self, folds: int) -> Any:
        """Which of so many parts of the data a row lies in: int64 [B], from 0, by a hash of its key or its origin.

        Only for what learns from a label, and for `training_form`: a served model is not fed it either.
        """

    def once(self, name: str, make: Callable[[], Any]) -> Any:
        """What `make` gives; it is called once, however many columns ask for it by this name."""


class Batch(Protocol):
    """What a column's `encode` may read."""

    def value(self, name: str) -> Any:
        """The materialised value of a column, dense; see `Transformed`. While training, what its `augment` gave."""

    def feature(self, name: str) -> Feature:
        """What `encode` gave of a column that `encodes` names."""


class Column(BaseModel):
    """A named column of a feature spec: a frozen value that knows what it reads and what becomes of it.

    A kind derives from it, one file a kind; the file's name is the kind's name.

    name: what it is called in `of`, in the groups and in the transform output; it starts with a letter, and has
      letters, digits, `_`, `.` and `-`.
    source: the input it reads; left out, the one of its own name.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    accepts: ClassVar[tuple[Dtype, ...]] = ()
    """The dtypes its inputs may have; where the data leaves a choice, the first. See `accepted`."""

    reads_many: ClassVar[bool] = False
    """Whether its inputs may be multi-valued."""

    makes_many: ClassVar[bool] = False
    """Whether `ingest` makes a list of the one value of a row, frames of an mp4: to a client it is multi-valued."""

    file_fields: ClassVar[tuple[str, ...]] = ()
    """Its fields that name a file; a relative path there starts at the spec's folder."""

    has_training_form: ClassVar[bool] = False
    """Whether a model is trained on other values than it is served; see `training_form`."""

    name: str = Name
    kind: str

    # -- what it reads ------------------------------------------------------------------------------------------

    def inputs(self) -> tuple[str, ...]:
        """The inputs it reads itself, not those of the columns it is made of."""
        return (getattr(self, "source", None) or self.name,)

    def parents(self) -> tuple[str, ...]:
        """The columns it is made of."""
        return ()

    @classmethod
    def raw_row(cls) -> str:
        """What a column of this kind reads, in words."""
        source = cls.model_fields.get("source")
        several = source is not None and typing.get_origin(source.annotation) is tuple  # inputs, of a place for example
        vector = " or a vector" if "shape" in cls.model_fields else ""
        value = "one value of each input" if several else f"one value{vector}"
        many = "any number of values" if cls.reads_many else value
        reads = [f"{many}, {' or '.join(cls.accepts)}"] if cls.accepts else []
        reads += ["what another column reads"] if "of" in cls.model_fields else []
        return ", or ".join(reads) or "nothing"

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        """The dtypes that this input of its may have, where they are not the same for all of them."""
        return self.accepts

    def vector_size(self, name: str) -> int | None:
        """How many numbers a row of this input holds, each in its place; None where it holds no vector."""
        return None

    @property
    def reads_files(self) -> bool:
        """Whether its inputs are paths in the data, where a relative one starts at the folder of the data."""
        return False

    def needs_value(self, name: str) -> bool:
        """Whether a row without a value of this input cannot be transformed, and so is rejected."""
        return False

    def parallel(self, columns: Mapping[str, Column]) -> tuple[str, str] | None:
        """Two inputs whose values belong together place by place, the second one's to the first one's.

        Where a value of the first is missing, that of the second is left out too; a missing one of the second keeps its
        place, as NaN or 0. A row in which one of them has more values is rejected.
        """
        return None

    def check(self, columns: Mapping[str, Column]) -> None:
        """Raise SpecError where it does not fit the other columns, those it is made of above all."""

    def labels(self) -> tuple[str, ...]:
        """The labels of the spec that it learns from."""
        return ()

    def check_labels(self, labels: Mapping[str, Label]) -> None:
        """Raise SpecError where it cannot learn from one of its labels; all of them are there."""

    def check_inputs(self, inputs: Mapping[str, Input]) -> None:
        """Raise SpecError where it cannot read its inputs; before they are resolved some may be open, or absent."""
        for name in self.inputs():
            if name not in inputs:
                continue
            told, size = inputs[name], self.vector_size(name)
            many = told.multi_valued or told.delimiter is not None
            # What is not said yet is left to the data.
            if not many and "multi_valued" in told.model_fields_set and (size or 1) > 1:
                raise SpecError(
                    f"columns.{self.name}.shape: {name!r} is not multi-valued",
                    expected=f"lists of {size} numbers, or texts with a delimiter that `inputs` says",
                    received="one value a row",
                )
            if many and size is None and not self.reads_many:
                raise SpecError(
                    f"columns.{self.name}: {self.kind} cannot read {name!r}, which is multi-valued",
                    expected="an input with one value a row",
                    received="any number of values a row",
                )

    # -- ingest: Python over Arrow, before any graph --------------------------------------------------------------

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        """Turn what lies in the data into what a client sends; also the reason for each row that cannot be.

        Where it `makes_many`, into lists; a row without a value is null, or an empty list.
        """
        return values, {}

    def chunk_rows(self) -> int | None:
        """How many rows to ingest at once, where they become far larger than they lie in the data; None: any number."""
        return None

    # -- transform: the graph that is materialised and served -----------------------------------------------------

    @property
    def transformed_type(self) -> Transformed | None:
        """How it is materialised; None where it has nothing of its own (an indicator of another column)."""
        raise NotImplementedError  # a kind says it

    def transform(self, values: Values) -> Any:
        """Its TensorFlow ops: float32 [B, D], ragged int64 [B, None], string [B], as `transformed_type` says."""
        raise NotImplementedError  # a kind says it

    def training_form(self, values: Values) -> Any:
        """What a row of the training split is trained on where `has_training_form`, of the same type as `transform`.

        It is materialised beside the value of `transform`, which is all that is evaluated and served.
        """
        raise NotImplementedError  # a kind says it

    def learned_vocabulary(self) -> str | None:
        """The name of the vocabulary it learns, whose size `num_buckets` is told."""
        return None

    def words(self) -> tuple[str, ...]:
        """What its ids stand for, in their order, where the spec says it; for people, no model sees it."""
        return ()

    # -- augment: in the input pipeline, only while a model is trained ----------------------------------------------

    @property
    def augmented(self) -> Augmented | None:
        """What `augment` gives; None where a model is trained on the materialised value as it is."""
        return None

    @property
    def encoded_size(self) -> int:
        """How many numbers `encode` makes of a row where they are many, as pixels are; else 0."""
        return math.prod(self.augmented.shape) if self.augmented else 0

    def augment(self, value: Any, seed: Any) -> Any:
        """Materialised values [B, ...] -> what `encode` is given instead of them, [B, ...] as `augmented` says.

        seed: int32 [B, 2], for tf.random.stateless_*: a row's result is a function of its value and its seed alone.
        """
        raise NotImplementedError  # a kind says it where `augmented` does

    # -- encode: into the model -----------------------------------------------------------------------------------

    def encodes(self) -> tuple[str, ...]:
        """The columns whose features `encode` reads, beside its own materialised value where it has one."""
        return ()

    def variables(self, num_buckets: Mapping[str, int]) -> dict[str, Variable]:
        """The variables it trains, by name; `num_buckets` is that of every categorical column."""
        return {}

    @classmethod
    @functools.cache
    def feature_type(cls) -> type:
        """The typed feature that `encode` gives: what it is annotated with."""
        return typing.get_type_hints(cls.encode)["return"]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Feature:
        """What it reads of a batch -> a typed feature."""
        raise NotImplementedError  # a kind says it

    def served_forms(self) -> dict[str, ServedForm]:
        """By the name of the signature that takes it, such as frames_uint8."""
        return {}

    # -- the same in tf.feature_column ----------------------------------------------------------------------------

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        """The tf.feature_column over raw rows that means the same; `inputs` are resolved.

        Raises SpecError where there is none, with why.
        """
        raise SpecError(f"columns.{self.name}: {self.kind} has no tf.feature_column over raw rows")

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        """The tf.feature_column over the transform output, for Estimators. Raises SpecError where there is none."""
        raise SpecError(f"columns.{self.name}: {self.kind} has no tf.feature_column over transformed rows")


class CategoricalColumn(Column):
    """A column whose transformed value is ids."""

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    reads_many: ClassVar[bool] = True

    one_id_a_value: ClassVar[bool] = False
    """Whether it has an id for each value of the first of its inputs, as `Values.categorical` has them."""

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("int64")

    def num_buckets(self, vocabulary_size: int) -> int:
        """The number of its ids; `vocabulary_size` is that of its learned vocabulary, else 0."""
        raise NotImplementedError  # a kind says it

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Categorical:
        return Categorical(batch.value(self.name), num_buckets[self.name])

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.categorical_column_with_identity(self.name, num_buckets[self.name])


class DerivedColumn(Column):
    """A column that encodes another: nothing of its own is materialised, unless the kind says so.

    That other one has ids, unless the kind's `check` asks for something else.

    of: the categorical column whose ids it reads.
    """

    of: str = Name

    def inputs(self) -> tuple[str, ...]:
        return ()

    def parents(self) -> tuple[str, ...]:
        return (self.of,)

    def check(self, columns: Mapping[str, Column]) -> None:
        if columns[self.of].feature_type() is not Categorical:
            with_ids = sorted(name for name, column in columns.items() if column.feature_type() is Categorical)
            raise SpecError(
                f"columns.{self.name}.of: {self.of!r} has no ids",
                expected=f"a categorical column, one of: {', '.join(with_ids)}",
                received=f"{self.of!r}, which is {columns[self.of].kind}",
            )

    def encodes(self) -> tuple[str, ...]:
        return (self.of,)

    @property
    def transformed_type(self) -> Transformed | None:
        return None
