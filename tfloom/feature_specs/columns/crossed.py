"""`crossed`: the combinations of several columns' values, hashed or looked up."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfloom.feature_specs.column import Buckets, CategoricalColumn, Column, Name, Values
from tfloom.feature_specs.columns.hashed import Hashed
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input


class RawPart(BaseModel):
    """An input that is crossed as it is, without a column of its own: a string or an integer."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str


class Crossed(CategoricalColumn):
    """The cartesian product of its parts' values, each combination hashed into a bucket (tf.sparse.cross_hashed).

    of: two parts or more, each a categorical column or `{input: NAME}`. A raw string '' is a value like any other;
      a part without a value gives no cross; the out-of-vocabulary -1 of a column is crossed as -1. A cross of a
      cross takes the inner one's parts.
    buckets: how many ids there are; more of them, fewer combinations that share one.
    hash_key: what the hash starts from, in place of tf.feature_column's own: crosses of the same parts with
      different keys make other combinations share an id. That of an inner cross has no part in an outer one.
    collision_free: instead of buckets, an id of its own for each combination that the training split has: the index
      in a vocabulary of them, most frequent first, as tft.vocabulary learns it.
    top_k: of a collision-free cross, keep the k most frequent. min_frequency: keep what occurs at least so often.
    oov_buckets: ids for the combinations that are not kept, V + Fingerprint64(combination) mod oov_buckets; with 0 it
      is -1, an all-zero row of the model.
    """

    kind: Literal["crossed"] = "crossed"
    of: Annotated[tuple[Annotated[str, Name] | RawPart, ...], Field(min_length=2)]
    buckets: Buckets | None = None
    hash_key: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    collision_free: bool = False
    top_k: Annotated[int, Field(ge=1)] | None = None
    min_frequency: Annotated[int, Field(ge=1)] | None = None
    oov_buckets: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0

    @model_validator(mode="after")
    def _hashed_or_learned(self) -> Crossed:
        if (self.buckets is None) != self.collision_free:
            raise ValueError("needs buckets or collision_free: true, one of the two")
        if self.collision_free and self.hash_key is not None:
            raise ValueError("has a hash_key, and collision_free: true hashes nothing")
        if not self.collision_free and (self.top_k or self.min_frequency or self.oov_buckets):
            raise ValueError("has top_k, min_frequency or oov_buckets, which are for collision_free: true")
        return self

    def inputs(self) -> tuple[str, ...]:
        return tuple(part.input for part in self.of if isinstance(part, RawPart))

    def parents(self) -> tuple[str, ...]:
        return tuple(part for part in self.of if isinstance(part, str))

    def check(self, columns: Mapping[str, Column]) -> None:
        for parent in self.parents():
            if not isinstance(columns[parent], CategoricalColumn):
                raise SpecError(
                    f"columns.{self.name}.of: {parent!r} has no ids to cross",
                    expected="a categorical column (bucketize a number first) or {input: NAME}",
                    received=f"{parent!r}, which is {columns[parent].kind}",
                )

    def learned_vocabulary(self) -> str | None:
        return self.name if self.collision_free else None

    def num_buckets(self, vocabulary_size: int) -> int:
        return self.buckets or vocabulary_size + self.oov_buckets

    def leaves(self, columns: Mapping[str, Column]) -> Iterator[str | RawPart]:
        """Its parts, those of inner crosses in their place."""
        for part in self.of:
            inner = columns[part] if isinstance(part, str) else None
            if isinstance(inner, Crossed):
                yield from inner.leaves(columns)
            else:
                yield part

    def transform(self, values: Values) -> Any:
        import tensorflow as tf
        import tensorflow_transform as tft

        parts = [
            values.ragged(part.input) if isinstance(part, RawPart) else values.column(part)
            for part in self.leaves(values.columns)
        ]
        if self.buckets is not None:
            return tf.ragged.cross_hashed(parts, self.buckets, self.hash_key)
        crosses = tf.ragged.cross([_without_separator(part) if part.dtype == tf.string else part for part in parts])
        learned = tft.vocabulary(
            crosses.flat_values, top_k=self.top_k, frequency_threshold=self.min_frequency, vocab_filename=self.name
        )
        return crosses.with_flat_values(
            tft.apply_vocabulary(crosses.flat_values, learned, default_value=-1, num_oov_buckets=self.oov_buckets)
        )

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if self.collision_free:
            raise SpecError(
                f"columns.{self.name}: its combinations are learned, no tf.feature_column over raw rows has them"
            )
        leaves = list(self.leaves(columns))
        for part in leaves:
            if isinstance(part, str) and isinstance(columns[part], Hashed):
                raise SpecError(
                    f"columns.{self.name}: {part!r} is hashed, and no tf.feature_column crosses what is hashed already",
                    expected="{input: NAME}, which crosses the value itself",
                    received=repr(part),
                )
        keys = [
            part.input if isinstance(part, RawPart) else columns[part].raw_feature_column(columns, inputs)
            for part in leaves
        ]
        return tf.feature_column.crossed_column(keys, self.buckets, self.hash_key)


def _without_separator(strings: Any) -> Any:
    """Strings that tf.ragged.cross, which joins them by _X_, gives another text for every other combination.

    Without line ends, too, which no line of a vocabulary may have.
    """
    import tensorflow as tf

    x = strings.flat_values
    for pattern, rewrite in ((r"\\", r"\\\\"), ("\n", r"\\n"), ("\r", r"\\r"), ("(^|_)X", r"\1\\X")):
        x = tf.strings.regex_replace(x, pattern, rewrite)
    return strings.with_flat_values(x)
