"""What the kinds that look ids up in a table share: the table, where it starts from, and who else has it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs.column import Column, DerivedColumn, Name, Variable
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.initializers import Initializer, TruncatedNormal
from tfloom.feature_specs.saved_table import SavedTable


class TableColumn(DerivedColumn):
    """A column that looks each id up in a table of the model, [num_buckets, dimension].

    dimension: the length of a vector.
    max_norm: looked-up vectors are clipped to this l2 norm.
    initializer: how the table starts: `{name: truncated_normal, mean: 0, stddev: 0.1}`, `random_normal` with the same
      numbers, `{name: random_uniform, minval: -0.05, maxval: 0.05}`, `{name: constant, value: 1}` or `{name: zeros}`;
      left out, a truncated normal with a standard deviation of 1 / sqrt(dimension).
    trainable: whether training changes the table.
    shared: a name for the table, which is one for all columns that say it; they have the same number of ids.
    checkpoint: what the table starts from instead: the path of a TensorFlow checkpoint, or of an array that np.save
      wrote, `.npy`. Training reads it before its first step, nothing else does.
    checkpoint_variable: the name of the table in the TensorFlow checkpoint.
    """

    file_fields: ClassVar[tuple[str, ...]] = ("checkpoint",)

    dimension: Annotated[int, Field(ge=1)]
    max_norm: Annotated[FiniteFloat, Field(gt=0)] | None = None
    initializer: Initializer | None = None
    trainable: bool = True
    shared: Annotated[str, Name] | None = None
    checkpoint: str | None = None
    checkpoint_variable: str | None = None

    @model_validator(mode="after")
    def _starts_once(self) -> TableColumn:
        if self.checkpoint is None and self.checkpoint_variable is not None:
            raise ValueError("has checkpoint_variable without a checkpoint")
        if self.checkpoint is not None and self.initializer is not None:
            raise ValueError("has both initializer and checkpoint, a table starts from one of the two")
        if self.checkpoint is not None and self.checkpoint.endswith(".npy") != (self.checkpoint_variable is None):
            raise ValueError("a TensorFlow checkpoint needs checkpoint_variable, an array (.npy) has none")
        return self

    def check(self, columns: Mapping[str, Column]) -> None:
        """Also where those who share the table say another thing of it."""
        super().check(columns)
        for column in columns.values():
            if self.shared is None or not isinstance(column, TableColumn) or column.shared != self.shared:
                continue
            for field in _OF_THE_TABLE:
                if (other := getattr(column, field)) != (own := getattr(self, field)):
                    raise SpecError(
                        f"columns.{self.name}.{field}: is another than that of {column.name!r}, which shares"
                        f" {self.shared!r}",
                        expected=f"{field} as {column.name!r} has it, {_written(other)}", received=_written(own),
                    )  # fmt: skip

    def variables(self, num_buckets: Mapping[str, int]) -> dict[str, Variable]:
        """The table."""
        # tf.feature_column.embedding_column starts from the same distribution.
        usual = TruncatedNormal(name="truncated_normal", stddev=self.dimension**-0.5)
        table = Variable(
            (num_buckets[self.of], self.dimension), self.initializer or usual, self.trainable, self.shared, self.saved
        )
        return {"table": table}

    @property
    def saved(self) -> SavedTable | None:
        """What the table starts from, where that is a file."""
        if self.checkpoint is None:
            return None
        return SavedTable(f"columns.{self.name}.checkpoint", self.checkpoint, self.checkpoint_variable)

    def looked_up(self, table: Any, ids: Any) -> Any:
        """int64 ids [...] -> their vectors [..., dimension], clipped; of -1 the vector of some id."""
        import tensorflow as tf

        vectors = tf.gather(table, tf.maximum(ids, 0))
        return vectors if self.max_norm is None else tf.clip_by_norm(vectors, self.max_norm, axes=[-1])

    def embedding_column(self, categorical: Any, combiner: Literal["sum", "mean", "sqrtn"] = "mean") -> Any:
        """The tf.feature_column of it, whose table is its own; for `shared` see trainers.shared_tables."""
        import tensorflow as tf

        initializer = None
        if self.initializer is not None:
            initializer = getattr(tf.compat.v1, f"{self.initializer.name}_initializer")(**self.initializer.numbers)
        saved = self.saved
        if saved is not None and saved.variable is None:
            initializer = tf.compat.v1.constant_initializer(saved.read((categorical.num_buckets, self.dimension)))
            saved = None
        return tf.feature_column.embedding_column(
            categorical,
            self.dimension,
            combiner,
            initializer,
            ckpt_to_load_from=saved and saved.path,
            tensor_name_in_ckpt=saved and saved.variable,
            max_norm=self.max_norm,
            trainable=self.trainable,
        )


def variables(columns: Iterable[Column], num_buckets: Mapping[str, int]) -> dict[str, dict[str, Variable]]:
    """By column its variables, by name. Raises SpecError where those that share a name are not of one shape."""
    told = {column.name: column.variables(num_buckets) for column in columns}
    first: dict[str, tuple[str, Variable]] = {}
    for column, of_column in told.items():
        for one in of_column.values():
            if one.shared is None:
                continue
            other, like = first.setdefault(one.shared, (column, one))
            if one != like:
                raise SpecError(
                    f"columns.{column}: its table is not like that of {other!r}, which shares {one.shared!r}",
                    expected=f"columns of the same number of ids, {like.shape[0]} as {other!r} has",
                    received=f"{one.shape[0]} ids",
                )
    return told


_OF_THE_TABLE = ("dimension", "initializer", "trainable", "checkpoint", "checkpoint_variable")
"""The fields that say what the table is; the others say what a column makes of it."""


def _written(value: Any) -> str:
    return "none" if value is None else str(value)
