"""`vocabulary`: a string or an integer, as its index in a vocabulary."""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, field_validator, model_validator

from tfloom.feature_specs import storage
from tfloom.feature_specs.column import CategoricalColumn, Column, Dtype, Name, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input

if TYPE_CHECKING:
    from tfloom.feature_specs.labels import Label


class Coverage(BaseModel):
    """What a learned vocabulary keeps of every key, beside what it keeps of them all (tft.vocabulary's coverage).

    key: a regular expression; the first text that it matches in an entry is the entry's key, '' where there is none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    top_k: Annotated[int, Field(ge=1)]
    min_frequency: Annotated[int, Field(ge=1)] | None = None

    @field_validator("key")
    @classmethod
    def _is_an_expression(cls, key: str) -> str:
        try:
            re.compile(key)
        except re.error as error:
            raise ValueError(f"is no regular expression: {error}") from None
        return key


class Vocabulary(CategoricalColumn):
    """The index of a value in a vocabulary of V entries.

    The vocabulary is learned on the training split (most frequent first, ties in reverse lexicographic order, as
    tft.vocabulary has it), or given.

    vocabulary: its entries, in the order of their ids.
    vocabulary_file: a text file with an entry a line, in UTF-8.
    top_k: keep the k most frequent. min_frequency: keep what occurs at least so often.
    coverage: keep, beside those, of every key the `top_k` most frequent that occur at least `min_frequency` times.
      `key` is a regular expression, what it finds in an entry is its key: `{key: "^[^:]*", top_k: 2}`.
    mutual_information: a label; instead of the most frequent, the values that tell most of it come first, by
      tft.vocabulary's mutual information in bits: a value's share of it times the number of rows.
    min_mutual_information: beside `mutual_information`, keep what tells at least so much.
    use_adjusted_mutual_info: less what a value as frequent tells by chance.
    min_diff_from_avg: a value tells nothing of a class with which it occurs so few times more or less often than by
      chance; left out, tf.Transform chooses it by the number of rows, from 2 to 25.
    weights: a numeric input; the frequency of a value is then the sum of its rows' weights. A row whose weight is
      missing, 0 or less teaches nothing.
    shared: a name for the vocabulary, which is learned of the values of all columns that say it, and the same for each.
    oov_buckets: ids for what is not in the vocabulary, V + Fingerprint64(value) mod oov_buckets; with 0 it is -1,
      an all-zero row of the model.
    default: instead, one id of the vocabulary for all that is not in it.
    """

    one_id_a_value: ClassVar[bool] = True
    file_fields: ClassVar[tuple[str, ...]] = ("vocabulary_file",)

    kind: Literal["vocabulary"] = "vocabulary"
    source: str | None = None
    vocabulary: Annotated[tuple[str, ...] | tuple[int, ...], Field(min_length=1)] | None = None
    vocabulary_file: str | None = None
    top_k: Annotated[int, Field(ge=1)] | None = None
    min_frequency: Annotated[int, Field(ge=1)] | None = None
    coverage: Coverage | None = None
    mutual_information: str | None = None
    min_mutual_information: FiniteFloat | None = None
    use_adjusted_mutual_info: bool | None = None
    min_diff_from_avg: Annotated[int, Field(ge=0)] | None = None
    weights: str | None = None
    shared: Annotated[str, Name] | None = None
    oov_buckets: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    default: Annotated[int, Field(ge=0, le=2**31 - 2)] | None = None

    @model_validator(mode="after")
    def _learned_or_given(self) -> Vocabulary:
        if self.vocabulary is not None and self.vocabulary_file is not None:
            raise ValueError("has both vocabulary and vocabulary_file, at most one of the two is possible")
        given = self.vocabulary is not None or self.vocabulary_file is not None
        for field in (*_LEARNING, "shared"):
            if given and getattr(self, field) is not None:
                raise ValueError(f"has {field}, which is for a learned vocabulary, and a given one")
        for field in ("min_mutual_information", "use_adjusted_mutual_info", "min_diff_from_avg"):
            if getattr(self, field) is not None and self.mutual_information is None:
                raise ValueError(f"has {field} without mutual_information")
        for field in ("min_frequency", "coverage", "weights"):
            if getattr(self, field) is not None and self.mutual_information is not None:
                raise ValueError(f"has {field}, which is for what is learned by frequency, and mutual_information")
        if self.coverage is not None and self.top_k is None and self.min_frequency is None:
            raise ValueError("has coverage, and all is kept without top_k or min_frequency")
        if self.default is not None and self.oov_buckets:
            raise ValueError("has both default and oov_buckets, at most one of the two is possible")
        if self.default is not None and self.vocabulary is not None and self.default >= len(self.vocabulary):
            raise ValueError(f"default must be below {len(self.vocabulary)}, how many entries the vocabulary has")
        if self.vocabulary is not None and len(set(self.vocabulary)) != len(self.vocabulary):
            repeated = next(v for v in self.vocabulary if self.vocabulary.count(v) > 1)
            raise ValueError(f"vocabulary names {repeated!r} more than once")
        return self

    def inputs(self) -> tuple[str, ...]:
        return (*super().inputs(), *((self.weights,) if self.weights is not None else ()))

    def accepted(self, name: str) -> tuple[Dtype, ...]:
        return ("float32", "int64") if name == self.weights else super().accepted(name)

    def labels(self) -> tuple[str, ...]:
        return () if self.mutual_information is None else (self.mutual_information,)

    def check_labels(self, labels: Mapping[str, Label]) -> None:
        if self.mutual_information is None:
            return
        label = labels[self.mutual_information]
        if not label.class_names or label.multi_label:
            what = "has any number of classes" if label.multi_label else "is a number"
            raise SpecError(f"columns.{self.name}.mutual_information: {label.name!r} {what}",
                            expected="a label with `above`, `positive` or `classes`",
                            received=f"a label for {label.task}")  # fmt: skip
        if label.missing == "keep":
            raise SpecError(f"columns.{self.name}.mutual_information: rows without {label.name!r} are kept",
                            expected="a label whose `missing` is drop or reject", received="missing: keep")  # fmt: skip

    def learned_vocabulary(self) -> str | None:
        return (self.shared or self.name) if self.vocabulary is None and self.vocabulary_file is None else None

    def words(self) -> tuple[str, ...]:
        return tuple(map(str, self.vocabulary or ()))

    def num_buckets(self, vocabulary_size: int) -> int:
        size = vocabulary_size if self.learned_vocabulary() else len(self._entries())
        return max(size + self.oov_buckets, 0 if self.default is None else self.default + 1)

    def check(self, columns: Mapping[str, Column]) -> None:
        if self.shared is None:
            return
        for column in columns.values():
            if column.learned_vocabulary() != self.shared:
                continue
            if not isinstance(column, Vocabulary) or column.shared is None:
                raise SpecError(f"columns.{self.name}.shared: {self.shared!r} is what {column.name!r} learns alone",
                                expected="a name of its own", received=repr(self.shared))  # fmt: skip
            for field in _LEARNING:
                if (other := getattr(column, field)) != (own := getattr(self, field)):
                    raise SpecError(
                        f"columns.{self.name}.{field}: is another than that of {column.name!r}, which shares"
                        f" {self.shared!r}",
                        expected=f"{field} as {column.name!r} has it, {_written(other)}", received=_written(own),
                    )  # fmt: skip

    def check_inputs(self, inputs: Mapping[str, Input]) -> None:
        super().check_inputs(inputs)
        name = self.inputs()[0]
        weights = inputs.get(self.weights) if self.weights is not None else None
        if weights is not None and (weights.multi_valued or weights.delimiter):
            raise SpecError(
                f"columns.{self.name}.weights: {self.weights!r} is multi-valued",
                expected="an input with one value a row",
                received="any number of values a row",
            )
        if name in inputs and inputs[name].dtype == "int64" and self.vocabulary is not None:
            self._integers()

    def _entries(self) -> tuple[str, ...] | tuple[int, ...]:
        """Those of a given vocabulary, read from its file where it has one."""
        if self.vocabulary_file is None:
            return self.vocabulary or ()
        place, path = f"columns.{self.name}.vocabulary_file", Path(self.vocabulary_file)
        try:
            text = storage.fetch(path).read_bytes().decode("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SpecError(f"{place}: cannot be read", expected="UTF-8 text", received=f"{path}: {error}") from None
        # Lines as TensorFlow reads them; str.splitlines would end one wherever Unicode knows a separator.
        lines = tuple(line.removesuffix("\r") for line in text.removesuffix("\n").split("\n"))
        if not text or len(set(lines)) != len(lines):
            repeated = next((line for line in lines if lines.count(line) > 1), None)
            raise SpecError(
                f"{place}: is not right",
                expected="an entry a line, each once",
                received=f"{path}: {repeated!r} more than once" if text else f"{path}: no entries",
            )
        return lines

    def _integers(self) -> list[int]:
        """The entries of a given vocabulary, as an int64 input holds them."""
        for entry in (entries := self._entries()):
            if not _is_int64(entry):
                raise SpecError(
                    f"columns.{self.name}: {self.inputs()[0]!r} holds int64, and its vocabulary something else",
                    expected=f"integers, or the values as text: inputs: {{{self.inputs()[0]}: {{dtype: string}}}}",
                    received=repr(entry),
                )
        return [int(entry) for entry in entries]

    def read(self, values: Values) -> Any:
        """The values that it has ids for: ragged [B, None], without '' and -1."""
        return values.categorical(self.inputs()[0])

    def transform(self, values: Values) -> Any:
        import tensorflow as tf
        import tensorflow_transform as tft

        x, unknown = self.read(values), -1 if self.default is None else self.default
        if vocabulary := self.learned_vocabulary():
            learned = values.once(f"vocabulary {vocabulary}", lambda: self._learned(values))
            ids = tft.apply_vocabulary(x.flat_values, learned, default_value=unknown, num_oov_buckets=self.oov_buckets)
        else:
            # The graph holds the entries: what is served does not depend on a file left behind.
            keys = self._integers() if x.dtype == tf.int64 else [str(entry) for entry in self._entries()]
            table = tft.make_and_track_object(lambda: lookup_table(x.dtype, keys, self.oov_buckets, unknown), self.name)
            ids = table.lookup(x.flat_values)
        return x.with_flat_values(tf.cast(ids, tf.int64))

    def _learned(self, values: Values) -> Any:
        """The file of the vocabulary, learned of all who share it."""
        import tensorflow as tf
        import tensorflow_transform as tft

        vocabulary = self.learned_vocabulary()
        of = [column for column in values.columns.values() if column.learned_vocabulary() == vocabulary]
        taught = [column._taught(values) for column in of if isinstance(column, Vocabulary)]
        if len({x.dtype for x, _ in taught}) > 1:
            raise SpecError(
                f"columns.{self.name}.shared: {self.shared!r} is of strings and of integers",
                expected="inputs of one dtype, said in inputs: {NAME: {dtype: string}}",
                received=", ".join(f"{c.inputs()[0]} {x.dtype.name}" for c, (x, _) in zip(of, taught, strict=True)),
            )
        if self.mutual_information is not None:
            rows = tf.concat([_distinct(values.categorical(column.inputs()[0])) for column in of], axis=0)
            return tft.vocabulary(
                rows,
                top_k=self.top_k,
                frequency_threshold=self.min_mutual_information,
                labels=tf.tile(values.label(self.mutual_information), [len(of)]),
                use_adjusted_mutual_info=bool(self.use_adjusted_mutual_info),
                min_diff_from_avg=self.min_diff_from_avg,
                vocab_filename=vocabulary,
            )
        return tft.vocabulary(
            tf.concat([x for x, _ in taught], axis=0),
            top_k=self.top_k,
            frequency_threshold=self.min_frequency,
            weights=None if self.weights is None else tf.concat([weights for _, weights in taught], axis=0),
            coverage_top_k=self.coverage and self.coverage.top_k,
            coverage_frequency_threshold=self.coverage and self.coverage.min_frequency,
            key_fn=self.coverage and functools.partial(_key, self.coverage.key),
            vocab_filename=vocabulary,
        )

    def _taught(self, values: Values) -> tuple[Any, Any]:
        """The values that it learns of, and the weight of each where there are weights."""
        import tensorflow as tf

        x = self.read(values)
        if self.weights is None:
            return x.flat_values, None
        weights = tf.gather(values.scalar(self.weights), x.value_rowids())
        present = weights > 0
        return tf.boolean_mask(x.flat_values, present), tf.boolean_mask(weights, present)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Mapping[str, Input]) -> Any:
        import tensorflow as tf

        if self.vocabulary is None:
            raise SpecError(
                f"columns.{self.name}: only a vocabulary given as a list has a tf.feature_column over raw rows"
            )
        (name,) = self.inputs()
        keys = self._integers() if inputs[name].dtype == "int64" else [str(entry) for entry in self.vocabulary]
        return tf.feature_column.categorical_column_with_vocabulary_list(
            name, keys, default_value=-1 if self.default is None else self.default, num_oov_buckets=self.oov_buckets
        )


_LEARNING = (
    "top_k",
    "min_frequency",
    "coverage",
    "mutual_information",
    "min_mutual_information",
    "use_adjusted_mutual_info",
    "min_diff_from_avg",
    "weights",
)
"""The fields that say how a vocabulary is learned."""


def _written(value: Any) -> str:
    return "none" if value is None else str(value)


def _key(pattern: str, entry: bytes) -> str:
    """What the pattern finds in an entry."""
    found = re.search(pattern, entry.decode("utf-8", "replace"))
    return found.group() if found else ""


def _distinct(x: Any) -> Any:
    """Ragged [B, None] -> each value of a row once: mutual information is that of having a value with the label."""
    import tensorflow as tf

    values, index = tf.unique(x.flat_values, out_idx=tf.int64)
    count = tf.maximum(tf.size(values, tf.int64), 1)
    pairs, _ = tf.unique(x.value_rowids() * count + index)
    return tf.RaggedTensor.from_value_rowids(tf.gather(values, pairs % count), pairs // count, x.nrows())


def _is_int64(entry: str | int) -> bool:
    """Whether it is one, written as integers are: 01 would be another's id."""
    return bool(re.fullmatch("0|-?[1-9][0-9]*", str(entry))) and -(2**63) <= int(entry) < 2**63


def lookup_table(dtype: Any, entries: list[str] | list[int], oov_buckets: int, unknown: int) -> Any:
    """The ids of given entries, V + Fingerprint64(value) mod oov_buckets of any other value, or `unknown`."""
    import tensorflow as tf

    keys = tf.constant(entries, dtype)
    start = tf.lookup.KeyValueTensorInitializer(keys, tf.range(len(entries), dtype=tf.int64))
    if oov_buckets:
        return tf.lookup.StaticVocabularyTable(start, oov_buckets)
    return tf.lookup.StaticHashTable(start, unknown)
