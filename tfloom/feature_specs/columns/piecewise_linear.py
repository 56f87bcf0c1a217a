"""`piecewise_linear`: numbers, as how far each has come through each of several bins."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, FiniteFloat, model_validator

from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.number_column import NumberColumn
from tfloom.feature_specs.statistics import Statistics


class PiecewiseLinear(NumberColumn):
    """The piecewise linear encoding of a number (Gorishniy et al. 2022, arXiv:2203.05556, equation 1).

    Each bin gives 0 below it, 1 above it and a straight line within; the line of the first bin goes on below it, that
    of the last above it: float32 [B, number of bins]. A vector has the numbers of each element in turn, [B, size *
    number of bins], between the same edges.

    bins: how many, of about as many training rows each: their edges are the least value, the quantiles (tft.quantiles)
      and the greatest value.
    edges: instead of bins, increasing numbers, n + 1 of them for n bins.
    """

    kind: Literal["piecewise_linear"] = "piecewise_linear"
    bins: Annotated[int, Field(ge=2)] | None = None
    edges: Annotated[tuple[FiniteFloat, ...], Field(min_length=3)] | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> PiecewiseLinear:
        if (self.bins is None) == (self.edges is None):
            raise ValueError("needs bins or edges, one of the two")
        if self.edges:
            with np.errstate(over="ignore"):
                widths = np.diff(np.asarray(self.edges, np.float32))
            if not (np.isfinite(widths) & (widths > 0)).all():
                raise ValueError("edges must increase, and be finite, as float32")
        return self

    @property
    def _count(self) -> int:
        return self.bins or len(self.edges or ()) - 1

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", self.size * (self._count + self.indicator))

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        x = self.numbers(values)
        edges = self._edges(Statistics(f"{self.name}_bins", x))
        encoded = _encoded(self.filled(x, Statistics(self.name, x)), edges)
        # Where quantiles are equal there are fewer bins.
        encoded = tf.pad(encoded, [[0, 0], [0, 0], [0, self._count - tf.shape(encoded)[2]]])
        return self.indicated(tf.reshape(encoded, [-1, self.size * self._count]), values)

    def _edges(self, learned: Statistics) -> Any:
        """float32 [E], 1 <= E <= number of bins + 1: those that differ, in order."""
        import tensorflow as tf

        if self.edges:
            return tf.constant(self.edges, tf.float32)
        low, high = learned.min_and_max()
        edges = tf.stack([low, *learned.quantiles(self.bins or 0), high])
        # Without any number the least is infinite, and so is the greatest.
        return tf.unique(tf.boolean_mask(edges, tf.math.is_finite(edges)))[0]

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name, self.transformed_type.dimension)


def _encoded(x: Any, edges: Any) -> Any:
    """Numbers [B, D] and edges [E] -> [B, D, E - 1]. NaN stays NaN."""
    import tensorflow as tf

    low, high, bins = edges[:-1], edges[1:], tf.range(tf.size(edges) - 1)
    # Not `/`: of a division by constants TensorFlow makes, at times, a multiplication by their reciprocals.
    inside = tf.math.divide_no_nan(x[..., None] - low, high - low)
    # Not tf.clip_by_value: what it makes of NaN depends on where a row stands in its batch.
    inside = tf.where((inside < 0) & (bins > 0), 0.0, inside)
    return tf.where((inside > 1) & (bins < tf.size(bins) - 1), 1.0, inside)
