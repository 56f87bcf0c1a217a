"""What a column of raw data holds, learned in one pass: enough to choose what becomes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs import calendar
from tfloom.feature_specs.numbers import is_missing, numbers
from tfloom.feature_specs.times import times
from tfloom.feature_specs.values import texts

DISTINCT = 100_000
"""Different values are counted up to about so many."""

WORDS = 5
"""A column of numbers may hold so many different texts that are none, such as "?"."""

DELIMITERS = "|;,"
_PROSE = 4
"""A text of so many words is a sentence, and a comma in it separates no values."""

_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")


@dataclass(frozen=True)
class Numbers:
    """Different numbers and how often each occurs. values: float64 [N], increasing; counts: int64 [N]."""

    values: np.ndarray
    counts: np.ndarray

    @property
    def commonest(self) -> tuple[float, float]:
        """(number, share): the one that most rows have."""
        index = int(np.argmax(self.counts))
        return float(self.values[index]), float(self.counts[index] / self.counts.sum())

    def moment(self, order: int, of: Callable[[np.ndarray], np.ndarray] = lambda x: x) -> float:
        """A standardized central moment, 3 for skewness and 4 for kurtosis (3 of a normal distribution)."""
        x = of(self.values)
        mean = np.average(x, weights=self.counts)
        deviation = np.sqrt(np.average((x - mean) ** 2, weights=self.counts))
        return float(np.average(((x - mean) / deviation) ** order, weights=self.counts)) if deviation else 0.0

    def quantiles(self, buckets: int) -> list[float]:
        """The different numbers among the edges between `buckets` of about as many rows each."""
        reached = np.cumsum(self.counts) / self.counts.sum()
        found = self.values[np.searchsorted(reached, np.arange(1, buckets) / buckets)]
        return [float(x) for x in np.unique(found)]

    def without(self, number: float) -> Numbers:
        """The others."""
        others = self.values != number
        return Numbers(self.values[others], self.counts[others])


class Profile:
    """The chunks of a column, summed up. Values count by their text, so that CSV and Parquet say the same.

    type: as the first chunk has it.
    is_list: whether a row holds any number of values.
    rows: how many values there are, with the `nulls` among them.
    counted: how many values were counted, all of them until there were more than DISTINCT different ones.
    fractional: whether a number is not whole.
    words: texts that are no numbers, a few of them.
    """

    def __init__(self) -> None:
        self.type: pa.DataType | None = None
        self.is_list = self.fractional = False
        self.rows = self.nulls = self.counted = 0
        self.words: set[str] = set()
        self._numbers = self._na = False
        self._other: Literal["picture", "time", "other"] | None = None
        self._picture = b""
        self._counts = pa.table({"text": pa.array([], pa.string()), "count": pa.array([], pa.int64())})

    def add(self, values: pa.Array) -> None:
        """Take the next chunk of the column."""
        self.type = self.type or values.type
        if pa.types.is_list(values.type) or pa.types.is_large_list(values.type):
            self.is_list, values = True, values.flatten()
        if pa.types.is_binary(values.type) or pa.types.is_large_binary(values.type):
            self._picture = self._picture or next((v.as_py() for v in values if v.is_valid), b"")
            self._other = "picture" if self._picture.startswith(_PICTURES) else "other"
        elif pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
            self._other = "time"
            self._count(texts(times(values, "")[0]))
        elif pa.types.is_temporal(values.type) or pa.types.is_nested(values.type):
            self._other = "other"
        else:
            self._count(texts(values))

    def _count(self, values: pa.Array) -> None:
        self.rows += len(values)
        self.nulls += values.null_count
        found = pc.value_counts(values.drop_null())
        distinct, counts = (found.field(i).cast(kind) for i, kind in enumerate((pa.string(), pa.int64())))
        if len(self.words) <= WORDS:
            read, bad = numbers(distinct, pa.float64())
            self.words |= set(distinct.filter(bad)[: WORDS + 1].to_pylist())
            self.fractional |= bool(pc.any(pc.not_equal(pc.floor(read), read)).as_py())
            self._numbers |= read.null_count < len(read)
            self._na |= bool(pc.any(is_missing(distinct)).as_py())
        if len(self._counts) <= DISTINCT:
            both = pa.concat_tables([self._counts, pa.table({"text": distinct, "count": counts})])
            merged = both.group_by("text", use_threads=False).aggregate([("count", "sum")])
            self._counts = merged.rename_columns(["text", "count"])
            self.counted += len(values) - values.null_count

    @property
    def distinct(self) -> int:
        """How many different texts there are."""
        return len(self._counts)

    @property
    def missing(self) -> bool:
        """Whether a row lacks its value."""
        return bool(self.nulls) or (self.kind == "number" and (self._na or bool(self.words)))

    @property
    def missing_share(self) -> float:
        """The share of values that are missing."""
        null = self.nulls / max(self.rows, 1)
        present = sum(self.counts.values()) if self.kind != "number" else int(self.numbers.counts.sum())
        return null + (1 - null) * (1 - present / max(self.counted, 1))

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each text occurs, without those that stand for a missing value."""
        present = self._present()
        return dict(zip(present["text"].to_pylist(), present["count"].to_pylist(), strict=True))

    @cached_property
    def numbers(self) -> Numbers:
        """The finite numbers among the texts."""
        read, _ = numbers(self._counts["text"].combine_chunks(), pa.float64())
        values = read.to_numpy(zero_copy_only=False)
        finite = np.isfinite(values)
        distinct, index = np.unique(values[finite], return_inverse=True)  # 1.0 and 1.00 are texts of one number
        counts = np.bincount(index, self._counts["count"].to_numpy()[finite], len(distinct)).astype(np.int64)
        return Numbers(distinct, counts)

    @cached_property
    def kind(self) -> Literal["number", "text", "picture", "time", "other"]:
        """What it holds, to be asked when all chunks are in."""
        if self._other:
            return self._other
        if self._numbers and not pa.types.is_dictionary(self.type) and self._are_strays():
            return "number"
        return "time" if self._are_times() else "text"

    def _are_strays(self) -> bool:
        """Whether the words among the numbers stand for a missing one: few, no digits, on fewer than half the rows."""
        if len(self.words) > WORDS or any(c.isdigit() for word in self.words for c in word):
            return False
        with_words = pc.is_in(self._counts["text"], value_set=pa.array(sorted(self.words), pa.string()))
        return 2 * (pc.sum(self._counts["count"].filter(with_words)).as_py() or 0) < self.counted

    def _are_times(self) -> bool:
        """Whether every text is one that the kinds of column for times read."""
        present = self._present()["text"].combine_chunks()
        if not len(present) or not pc.all(pc.match_substring_regex(present, calendar.ISO)).as_py():
            return False
        return not pc.any(times(present, "")[1]).as_py()

    @cached_property
    def times(self) -> pa.Array:
        """timestamp[us]: the different times."""
        return times(self._present()["text"].combine_chunks(), "")[0]

    def _present(self) -> pa.Table:
        return self._counts.filter(pc.invert(is_missing(self._counts["text"].combine_chunks())))

    @cached_property
    def words_a_text(self) -> float:
        """How many words a text has on average."""
        spaces = pc.count_substring_regex(self._counts["text"], r"\s+")
        return 1 + (pc.sum(pc.multiply(spaces, self._counts["count"])).as_py() or 0) / max(self.counted, 1)

    @cached_property
    def delimiter(self) -> str | None:
        """What separates several values in one text, if something does.

        It does where at least a tenth of the rows have it and the parts, short ones, recur: there are at most half as
        many different parts as different texts.
        """
        for one in DELIMITERS:
            with_it = pc.match_substring(self._counts["text"], one)
            rows = pc.sum(self._counts["count"].filter(with_it)).as_py() or 0
            parts = self.parts(one)
            if 10 * rows >= self.counted > 0 and 0 < 2 * len(parts) <= self.distinct and _are_short(parts):
                return one
        return None

    def parts(self, delimiter: str) -> Sequence[str]:
        """The different values that the delimiter separates."""
        split = pc.list_flatten(pc.split_pattern(self._counts["text"].combine_chunks(), delimiter))
        return [part for part in pc.unique(pc.utf8_trim_whitespace(split)).to_pylist() if part]

    def picture_size(self) -> tuple[int, int, int]:
        """(height, width, channels) of the first picture."""
        import tensorflow as tf

        height, width, channels = tf.io.decode_image(self._picture, expand_animations=False).shape
        return height, width, 1 if channels == 1 else 3


def _are_short(texts: Sequence[str]) -> bool:
    return all(len(text.split()) < _PROSE for text in texts)
