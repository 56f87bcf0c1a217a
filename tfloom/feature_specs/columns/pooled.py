"""`pooled`: a sequence as one vector."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tfloom.feature_specs.column import Batch, Column, DerivedColumn
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense, Sequence


class Pooled(DerivedColumn):
    """The steps of the column `of` combined into one: float32 [B, D]; a row without steps gives zeros.

    of: the sequence it reads.
    combiner: `sum`, `mean` or `sqrtn` (sum divided by the root of the count) of the steps, their `max` or `min`, each
      number by itself, or the `first` or the `last` step.
    """

    kind: Literal["pooled"] = "pooled"
    combiner: Literal["sum", "mean", "sqrtn", "max", "min", "first", "last"] = "mean"

    def check(self, columns: Mapping[str, Column]) -> None:
        if columns[self.of].feature_type() is not Sequence:
            sequences = sorted(name for name, column in columns.items() if column.feature_type() is Sequence)
            raise SpecError(
                f"columns.{self.name}.of: {self.of!r} is no sequence",
                expected=f"a sequence, one of: {', '.join(sequences) or 'there is none'}",
                received=f"{self.of!r}, which is {columns[self.of].kind}",
            )

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        import tensorflow as tf

        of = batch.feature(self.of)
        mask = of.mask  # type: ignore[union-attr]
        count = tf.reduce_sum(tf.cast(mask, tf.float32), axis=1, keepdims=True)
        if self.combiner in ("max", "min"):
            most = self.combiner == "max"
            steps = tf.where(mask[..., None], of.values, float("-inf" if most else "inf"))  # type: ignore[union-attr]
            found = tf.reduce_max(steps, axis=1) if most else tf.reduce_min(steps, axis=1)
            return Dense(tf.where(count > 0, found, 0.0))
        if self.combiner in ("first", "last"):
            backwards = self.combiner == "last"
            mask = mask & (tf.cumsum(tf.cast(mask, tf.int32), axis=1, reverse=backwards) == 1)
        total = tf.reduce_sum(tf.where(mask[..., None], of.values, 0.0), axis=1)  # type: ignore[union-attr]
        if self.combiner == "mean":
            return Dense(tf.math.divide_no_nan(total, count))
        if self.combiner == "sqrtn":
            return Dense(tf.math.divide_no_nan(total, tf.sqrt(count)))
        return Dense(total)

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Any) -> Any:
        raise SpecError(f"columns.{self.name}: no tf.feature_column pools a sequence")

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        raise SpecError(
            f"columns.{self.name}: no tf.feature_column pools a sequence",
            expected="embedded or indicator, which combine ids, or the trainer keras",
            received=f"pooled of {self.of!r}",
        )
