"""What the kinds share that look something up in a map of the row: where they look, and what they make of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs import key_values
from tfloom.feature_specs.column import Batch, Buckets, Column, Dtype, Transformed, Values
from tfloom.feature_specs.columns.vocabulary import Vocabulary
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.key_values import Pairs


class LookedUp(Column):
    """A column of what is found in a map of the row."""

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    reads_many: ClassVar[bool] = True

    def found(self, values: Values) -> Pairs:
        """The pairs that are found, in the order of the map."""
        raise NotImplementedError  # a kind says it


# -- where -----------------------------------------------------------------------------------------------------------


class InMap(LookedUp):
    """A column of what a map of the row has for the row's keys.

    source: the input that is the map, texts `key:value`, any number a row; left out, the one of its own name.
    key: the input of the keys, strings or integers, any number a row.
    separator: what is between a key and its value; the first one in a text counts.
    """

    source: str | None = None
    key: str
    separator: Annotated[str, Field(min_length=1)] = ":"

    @model_validator(mode="after")
    def _is_looked_up_by_another(self) -> InMap:
        if self.key == (self.source or self.name):
            raise ValueError("has one input for the map and for the key, needs two")
        return self

    def inputs(self) -> tuple[str, ...]:
        return (*super().inputs(), self.key)

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        return _accepted(name, self.inputs()[0], (self.key,)) or super().accepted(name)

    def check_inputs(self, inputs: Mapping[str, Input]) -> None:
        super().check_inputs(inputs)
        key_values.check_delimiter(self.name, self.inputs()[0], inputs, self.separator)

    def found(self, values: Values) -> Pairs:
        pairs = key_values.pairs(values.categorical(self.inputs()[0]), self.separator)
        return pairs.where(key_values.among(pairs.rows, pairs.keys, key_values.as_texts(values, self.key)))


class InNestedMap(LookedUp):
    """A column of what a nested map of the row has for the row's categories and items.

    source: the input that is the map of maps, texts `category^item:value,item:value`, any number a row; left out, the
      one of its own name.
    category: the input of the categories, strings or integers; left out, every category is looked into.
    item: the input of the items; left out, every item of a category is found.
    """

    source: str | None = None
    category: str | None = None
    item: str | None = None

    @model_validator(mode="after")
    def _is_matched_by_something(self) -> InNestedMap:
        names = [self.source or self.name, *self._keys()]
        if len(names) == 1:
            raise ValueError("has neither category nor item, needs one or both to match by")
        if len(set(names)) != len(names):
            raise ValueError("names an input twice, needs another for the map, the category and the item")
        return self

    def _keys(self) -> tuple[str, ...]:
        return tuple(name for name in (self.category, self.item) if name is not None)

    def inputs(self) -> tuple[str, ...]:
        return (*super().inputs(), *self._keys())

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        return _accepted(name, self.inputs()[0], self._keys()) or super().accepted(name)

    def check_inputs(self, inputs: Mapping[str, Input]) -> None:
        super().check_inputs(inputs)
        key_values.check_delimiter(self.name, self.inputs()[0], inputs, "^", ",", ":")

    def found(self, values: Values) -> Pairs:
        import tensorflow as tf

        maps = key_values.pairs(values.categorical(self.inputs()[0]), "^")
        if self.category is not None:
            maps = maps.where(key_values.among(maps.rows, maps.keys, key_values.as_texts(values, self.category)))
        inner = key_values.pairs(tf.strings.split(maps.values, ","), ":")
        pairs = Pairs(tf.gather(maps.rows, inner.rows), inner.keys, inner.values)
        if self.item is not None:
            pairs = pairs.where(key_values.among(pairs.rows, pairs.keys, key_values.as_texts(values, self.item)))
        return pairs


def _accepted(name: str, texts: str, keys: tuple[str, ...]) -> tuple[Dtype, ...]:
    """The dtypes of the map and of its keys; none for another input."""
    return ("string",) if name == texts else ("string", "int64") if name in keys else ()


# -- what is made of it ----------------------------------------------------------------------------------------------


class FoundIds(Vocabulary, LookedUp):
    """The values that are found, as ids: their buckets, or their indices in a vocabulary that is learned or given.

    buckets: instead of a vocabulary, Fingerprint64(value) mod buckets, as the kind `hashed` has it.
    """

    one_id_a_value: ClassVar[bool] = False
    """Ids are of what is found, which may be more than the values of an input, or less."""

    buckets: Buckets | None = None

    @model_validator(mode="after")
    def _hashed_or_looked_up(self) -> FoundIds:
        of_vocabulary = Vocabulary.model_fields.keys() - {"name", "kind", "source"}
        for field in sorted(self.model_fields_set & of_vocabulary if self.buckets is not None else ()):
            raise ValueError(f"has buckets, and {field}, which is for a vocabulary")
        return self

    def read(self, values: Values) -> Any:
        import tensorflow as tf

        found, rows = self.found(values), values.categorical(self.inputs()[0]).nrows()
        return tf.RaggedTensor.from_value_rowids(found.values, found.rows, rows, validate=False)

    def learned_vocabulary(self) -> str | None:
        return super().learned_vocabulary() if self.buckets is None else None

    def num_buckets(self, vocabulary_size: int) -> int:
        return self.buckets or super().num_buckets(vocabulary_size)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        if self.buckets is None:
            return super().transform(values)
        x = self.read(values)
        return x.with_flat_values(tf.strings.to_hash_bucket_fast(x.flat_values, self.buckets))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        return Column.raw_feature_column(self, columns, inputs)  # not that of a vocabulary


class FoundNumber(LookedUp):
    """The numbers that are found, combined into one: float32 [B, 1]. A value that is no finite number is not found.

    combiner: `sum`, `mean`, `min`, `max` of them, or their `count`.
    missing: what it is where nothing is found.
    """

    combiner: Literal["sum", "mean", "min", "max", "count"] = "sum"
    missing: FiniteFloat

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        found, numbers = self.found(values).numbers()
        rows = values.categorical(self.inputs()[0]).nrows()
        count = tf.math.unsorted_segment_sum(tf.ones_like(numbers), found.rows, rows)
        match self.combiner:
            case "count":
                combined = count
            case "mean":
                combined = tf.math.divide_no_nan(tf.math.unsorted_segment_sum(numbers, found.rows, rows), count)
            case _:
                combine = getattr(tf.math, f"unsorted_segment_{self.combiner}")
                combined = combine(numbers, found.rows, rows)
        combined = tf.cast(combined, tf.float32)
        # A sum may be too large for a float32: then it is as if there were none.
        is_one = (count > 0) & tf.math.is_finite(combined)
        return tf.where(is_one, combined, tf.constant(self.missing, tf.float32))[:, None]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name)
