"""What a column of raw data holds, learned in one pass: enough to choose what becomes of it."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc

from tfloom.feature_specs.numbers import is_missing, numbers
from tfloom.feature_specs.values import texts

DISTINCT = 100_000
"""Different values are counted up to about so many."""

WORDS = 5
"""A column of numbers may hold so many different texts that are none, such as "?"."""

_PICTURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM")


class Profile:
    """The chunks of a column, summed up. Values count by their text, so that CSV and Parquet say the same.

    type: as the first chunk has it.
    is_list: whether a row holds any number of values.
    nulls: whether a row has none.
    counted: how many values were counted, all of them until there were more than DISTINCT different ones.
    fractional: whether a number is not whole.
    words: texts that are no numbers, a few of them.
    """

    def __init__(self) -> None:
        self.type: pa.DataType | None = None
        self.is_list = self.nulls = self.fractional = False
        self.counted = 0
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
        elif pa.types.is_temporal(values.type):
            self._other = "time"
        elif pa.types.is_nested(values.type):
            self._other = "other"
        else:
            self._count(texts(values))

    def _count(self, values: pa.Array) -> None:
        self.nulls |= bool(values.null_count)
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
        return self.nulls or (self.kind == "number" and (self._na or bool(self.words)))

    @property
    def counts(self) -> dict[str, int]:
        """How often each text occurs, without those that stand for a missing value."""
        present = self._present()
        return dict(zip(present["text"].to_pylist(), present["count"].to_pylist(), strict=True))

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
        present = self._present()["text"]
        for kind in (pa.timestamp("us"), pa.timestamp("us", "UTC")):
            try:
                pc.cast(present, kind)
            except pa.ArrowInvalid:
                continue
            return len(present) > 0
        return False

    def _present(self) -> pa.Table:
        return self._counts.filter(pc.invert(is_missing(self._counts["text"].combine_chunks())))

    def picture_size(self) -> tuple[int, int, int]:
        """(height, width, channels) of the first picture."""
        import tensorflow as tf

        height, width, channels = tf.io.decode_image(self._picture, expand_animations=False).shape
        return height, width, 1 if channels == 1 else 3
