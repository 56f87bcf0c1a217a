"""`periodic`: a number as sines and cosines of trained frequencies."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from tfloom.feature_specs.column import Batch, Column, DerivedColumn, Transformed, Variable
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.initializers import RandomNormal


class Periodic(DerivedColumn):
    """The periodic encoding of a number x (Gorishniy et al. 2022, arXiv:2203.05556, section 3.3).

    It is sin(2 pi c x) for each trained frequency c, then cos(2 pi c x) for each: float32 [B, 2 * frequencies].

    of: the column of numbers it encodes, one a row; scaled, best.
    frequencies: how many.
    sigma: the standard deviation of the normal distribution that the frequencies start from, to be tuned: small for
      slow waves, which tell what is far apart, large for fast ones, which tell what is near.
    """

    kind: Literal["periodic"] = "periodic"
    frequencies: Annotated[int, Field(ge=1)]
    sigma: Annotated[FiniteFloat, Field(gt=0)]

    def check(self, columns: Mapping[str, Column]) -> None:
        one_number = [name for name, column in columns.items() if column.transformed_type == Transformed("float32", 1)]
        if self.of not in one_number:
            raise SpecError(
                f"columns.{self.name}.of: {self.of!r} is not one number a row",
                expected=f"a column of one number a row, one of: {', '.join(sorted(one_number)) or 'there is none'}",
                received=f"{self.of!r}, which is {columns[self.of].kind}",
            )

    def variables(self, num_buckets: Mapping[str, int]) -> dict[str, Variable]:
        return {"frequencies": Variable((self.frequencies,), RandomNormal(name="random_normal", stddev=self.sigma))}

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        import tensorflow as tf

        # In float64, rounded once: float32 sine depends on where a row stands in its batch.
        frequencies = tf.cast(tf.convert_to_tensor(variables["frequencies"]), tf.float64)
        x = batch.feature(self.of).values  # type: ignore[union-attr]
        angles = 2 * math.pi * tf.cast(x, tf.float64) * frequencies
        return Dense(tf.cast(tf.concat([tf.sin(angles), tf.cos(angles)], axis=1), tf.float32))

    def raw_feature_column(self, columns: Mapping[str, Column], inputs: Any) -> Any:
        raise SpecError(f"columns.{self.name}: no tf.feature_column trains frequencies")

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        raise SpecError(
            f"columns.{self.name}: no tf.feature_column trains frequencies",
            expected="piecewise_linear, or the trainer keras",
            received="periodic",
        )
