"""`date_part`: one part of a date or a time, as an id."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import pyarrow as pa

from tfloom.feature_specs import calendar
from tfloom.feature_specs.column import CategoricalColumn, Values
from tfloom.feature_specs.inputs import Dtype


class DatePart(CategoricalColumn):
    """One part of a date or a time in UTC, its first number as the id 0: January, Monday, midnight.

    A missing value has no id. A row whose text is no date is rejected; of a client it is missing.

    part: `quarter` (4 ids), `month` (12), `week` of ISO (53), `day` (31), `day_of_year` (366), `weekday` (7, Monday
      first), `hour` (24), `minute` (60), `second` (60) or `is_weekend` (2).
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("string", "int64")
    reads_many: ClassVar[bool] = False

    kind: Literal["date_part"] = "date_part"
    source: str | None = None
    part: Literal[
        "quarter", "month", "week", "day", "day_of_year", "weekday", "hour", "minute", "second", "is_weekend"
    ]  # fmt: skip

    @property
    def _numbers(self) -> range:
        return calendar.NUMBERS[self.part]

    def words(self) -> tuple[str, ...]:
        # A number that is its own id says nothing more.
        return calendar.WORDS.get(self.part) or tuple(map(str, self._numbers if self._numbers[0] else ()))

    def num_buckets(self, vocabulary_size: int) -> int:
        return len(self._numbers)

    def ingest(self, values: pa.Array) -> tuple[pa.Array, Mapping[int, str]]:
        return calendar.checked(values, *self.inputs())

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        seconds = values.seconds(*self.inputs())
        ids = getattr(calendar.Calendar(seconds), self.part) - self._numbers[0]
        return tf.ragged.boolean_mask(ids[:, None], seconds[:, None] != calendar.MISSING)
