"""Which split a row belongs to: a rule of the spec, stable as data grows."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, model_validator

from tfloom.feature_specs.times import Time, times
from tfloom.feature_specs.values import Value, group_of, repeated, texts

SPLITS = ("train", "eval", "test")


class _Rule(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class ByHash(_Rule):
    """Rows are dealt by the hash of `of`: the same key always falls into the same split.

    of: columns of the data, a key or a group that must not be torn apart (whole days); without it the spec's key,
      and without that the whole row.
    eval, test: the fractions held out.
    """

    by: Literal["hash"] = "hash"
    of: tuple[str, ...] = ()
    eval: Annotated[float, Field(ge=0, lt=1)] = 0.1
    test: Annotated[float, Field(ge=0, lt=1)] = 0.1

    @model_validator(mode="after")
    def _leaves_some(self) -> ByHash:
        if self.eval + self.test >= 1:
            raise ValueError(f"eval and test hold out everything, {self.eval} + {self.test}")
        return self

    def assign(self, rows: pa.RecordBatch) -> np.ndarray:
        """int8 [rows]: index into SPLITS."""
        if not self.eval + self.test:
            return np.zeros(rows.num_rows, np.int8)
        columns = [pc.fill_null(key_texts(rows.column(name)), "\x00") for name in (self.of or rows.schema.names)]
        keys = pc.binary_join_element_wise(*columns, "\x1f").dictionary_encode()
        shares = np.array([_share(key) for key in keys.dictionary.cast(pa.binary()).to_pylist()])
        splits = np.where(shares < self.test, 2, np.where(shares < self.test + self.eval, 1, 0)).astype(np.int8)
        return splits[keys.indices.to_numpy()]


class ByColumn(_Rule):
    """A column of the data says which.

    source: this column.
    eval, test: its values for these splits, one or a list; every other value is train. `true` is what YAML reads as
      true (true, yes, on), and 1.
    """

    by: Literal["column"]
    source: str
    eval: Value | tuple[Value, ...] = "eval"
    test: Value | tuple[Value, ...] = "test"

    @model_validator(mode="after")
    def _tells_apart(self) -> ByColumn:
        for value in repeated(self._groups):
            raise ValueError(f"names {value!r} more than once among eval and test")
        return self

    @property
    def _groups(self) -> tuple[tuple[Value, ...], ...]:
        """By split its values."""
        return (), *(names if isinstance(names, tuple) else (names,) for names in (self.eval, self.test))

    def assign(self, rows: pa.RecordBatch) -> np.ndarray:
        """int8 [rows]: index into SPLITS."""
        return _filled(group_of(rows.column(self.source), self._groups))


class ByTime(_Rule):
    """Rows from one time on are eval, from a later one on test; what comes before, or has no time, is train.

    source: a column of the data: a date, a time, or its ISO 8601 text; without a zone it is UTC.
    eval, test: where each begins; left out, the split is empty.
    """

    by: Literal["time"]
    source: str
    eval: Time | None = None
    test: Time | None = None

    @model_validator(mode="after")
    def _in_order(self) -> ByTime:
        if self.eval is not None and self.test is not None and self.eval >= self.test:
            raise ValueError(f"eval begins at {self.eval}, which is not before test, {self.test}")
        return self

    def assign(self, rows: pa.RecordBatch) -> np.ndarray:
        """int8 [rows]: index into SPLITS, -1 where a text is no time. Raises DataError where the column holds none."""
        found, bad = times(rows.column(self.source), f"split.source: {self.source!r}")
        result = np.where(bad.to_numpy(zero_copy_only=False), -1, 0).astype(np.int8)
        for index, start in ((1, self.eval), (2, self.test)):
            if start is not None:
                late = pc.greater_equal(found, pa.scalar(start, found.type))
                result[pc.fill_null(late, False).to_numpy(zero_copy_only=False)] = index
        return result


Split = Annotated[ByHash | ByColumn | ByTime, Field(discriminator="by")]


def _share(key: bytes) -> float:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") / 2**64


def key_texts(column: pa.Array) -> pa.Array:
    """The text of each value, the same whether it came from CSV or Parquet; of bytes, which may be long, a digest."""
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        digests = [None if value is None else hashlib.blake2b(value).hexdigest() for value in column.to_pylist()]
        return pa.array(digests, pa.string())
    return texts(column)


def _filled(splits: pa.Array) -> np.ndarray:
    return pc.fill_null(splits, 0).to_numpy(zero_copy_only=False).astype(np.int8)
