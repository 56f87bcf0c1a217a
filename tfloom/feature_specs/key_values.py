"""Texts `key:value` taken apart in the graph, and texts of one input met with those of another in the same row.

A batch lies flat: rows int64 [P], ascending, says which row each of P texts is of. Rows meet by integers that stand for
(row, text), so that long lists cost what they are long, not the product of two lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tfloom.feature_specs.column import Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input

_NUMBER = r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*"


@dataclass(frozen=True)
class Pairs:
    """Keys and their values, in the order of the texts that say them. rows: int64 [P]; keys, values: string [P]."""

    rows: Any
    keys: Any
    values: Any

    def where(self, kept: Any) -> Pairs:
        """Those that are kept: bool [P]."""
        import tensorflow as tf

        return Pairs(*(tf.boolean_mask(part, kept) for part in (self.rows, self.keys, self.values)))

    def numbers(self) -> tuple[Pairs, Any]:
        """The pairs whose value is a finite number, and that number: float64 [P]."""
        import tensorflow as tf

        is_one = tf.strings.regex_full_match(self.values, _NUMBER)
        read = tf.strings.to_number(tf.where(is_one, self.values, "nan"), tf.float64)
        finite = tf.math.is_finite(read)
        return self.where(finite), tf.boolean_mask(read, finite)


def pairs(texts: Any, separator: str, alone: str = "") -> Pairs:
    """The pairs of ragged strings [B, None]: what is before the first separator, and what is behind it.

    A text whose key or value is '' is none. alone: the value of a text without a separator; with '' it is none.
    """
    import tensorflow as tf

    parts = tf.strings.split(texts.flat_values, separator, maxsplit=1)
    # One more than there are parts, for a text that has one part alone.
    every = tf.concat([parts.flat_values, [alone]], axis=0)
    behind = tf.where(parts.row_lengths() == 2, parts.row_starts() + 1, tf.size(parts.flat_values, tf.int64))
    found = Pairs(texts.value_rowids(), tf.gather(every, parts.row_starts()), tf.gather(every, behind))
    return found.where((found.keys != "") & (found.values != ""))


def as_texts(values: Values, name: str) -> Any:
    """A string or int input without '' and -1, an integer as its decimals: ragged strings [B, None]."""
    import tensorflow as tf

    x = values.categorical(name)
    return x.with_flat_values(tf.strings.as_string(x.flat_values)) if x.dtype == tf.int64 else x


@dataclass(frozen=True)
class Met:
    """The texts of two inputs, numbered: two have one number where row and text are the same.

    Numbers count from 0 in the order in which they first occur, those of the left input first, so that within a row
    their order does not depend on other rows.

    left: int64 [P]; right: int64 [Q]; rows: int64 [N], the row of each number.
    """

    left: Any
    right: Any
    rows: Any

    @property
    def count(self) -> Any:
        """N."""
        import tensorflow as tf

        return tf.size(self.rows, tf.int64)

    def total(self, of: Any, numbers: Any) -> Any:
        """The sums [N] of `of` over a side's numbers, each in its order."""
        import tensorflow as tf

        return tf.math.unsorted_segment_sum(of, numbers, self.count)

    def has(self, numbers: Any) -> Any:
        """bool [N]: which numbers a side has."""
        import tensorflow as tf

        return self.total(tf.ones_like(numbers), numbers) > 0


def meet(left_rows: Any, left: Any, right_rows: Any, right: Any) -> Met:
    """Number the texts [P] and [Q] of rows [P] and [Q]. Exact: the texts themselves are compared, not their hashes."""
    import tensorflow as tf

    rows, texts = tf.concat([left_rows, right_rows], axis=0), tf.concat([left, right], axis=0)
    size = tf.maximum(tf.size(texts, tf.int64), 1)
    text = tf.unique(texts, tf.int64).idx
    met = tf.unique(rows * size + text, tf.int64)
    count = tf.size(left, tf.int64)
    return Met(met.idx[:count], met.idx[count:], met.y // size)


def among(rows: Any, texts: Any, others: Any) -> Any:
    """bool [P]: which of the texts [P] stand in the same row of `others`, ragged strings [B, None]."""
    import tensorflow as tf

    met = meet(rows, texts, others.value_rowids(), others.flat_values)
    return tf.gather(met.has(met.right), met.left)


def check_delimiter(column: str, name: str, inputs: Mapping[str, Input], *separators: str) -> None:
    """Raise SpecError where an input is cut into its texts by what separates a key and a value within a text."""
    delimiter = inputs[name].delimiter if name in inputs else None
    if delimiter in separators:
        raise SpecError(
            f"columns.{column}: {name!r} is cut at each {delimiter!r}, which separates a key from its value",
            expected=f"inputs: {{{name}: {{delimiter: ...}}}}, another text than that",
            received=repr(delimiter),
        )
