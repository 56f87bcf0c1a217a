"""`geo_cell`: a place, as the cell of a grid of latitudes and longitudes that it lies in."""

from __future__ import annotations

import math
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tfloom.feature_specs.column import CategoricalColumn, Values
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Dtype
from tfloom.feature_specs.places import Inputs, Latitude, Longitude, place

_MOST = 2**31 - 1


class GeoCell(CategoricalColumn):
    """The id of the grid cell that a place lies in, row by row from the south, from west to east within a row.

    source: the inputs `[latitude, longitude]` of a place, in degrees.
    degrees: the height and the width of a cell; the last of a row and the last row may be cut off by the bounds.
    latitude: `[south, north]`, the bounds of the grid; a place beyond them is -1, an all-zero row of the model.
    longitude: `[west, east]`, likewise; `[170, 190]` crosses the 180th meridian.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")
    reads_many: ClassVar[bool] = False

    kind: Literal["geo_cell"] = "geo_cell"
    source: Inputs
    degrees: Annotated[float, Field(gt=0, le=360)]
    latitude: tuple[Latitude, Latitude] = (-90.0, 90.0)
    longitude: tuple[Longitude, Longitude] = (-180.0, 180.0)

    @model_validator(mode="after")
    def _is_a_grid(self) -> GeoCell:
        if self.source[0] == self.source[1]:
            raise ValueError("needs two inputs in source, a latitude and a longitude")
        if self.latitude[0] >= self.latitude[1]:
            raise ValueError("needs a latitude that increases, south before north")
        if not 0 < self.longitude[1] - self.longitude[0] <= 360:
            raise ValueError("needs a longitude that increases, west before east, by 360 at most")
        if self.num_buckets(0) > _MOST:
            raise SpecError("degrees: there are too many cells", expected=f"{_MOST} cells at most",
                            received=f"{self.num_buckets(0)} cells")  # fmt: skip
        return self

    def inputs(self) -> tuple[str, ...]:
        return self.source

    def num_buckets(self, vocabulary_size: int) -> int:
        return self._count(self.latitude) * self._count(self.longitude)

    def _count(self, bounds: tuple[float, float]) -> int:
        # 0.3 / 0.1 is a little more than 3.
        return max(math.ceil((bounds[1] - bounds[0]) / self.degrees - 1e-9), 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        latitude, longitude = place(values, self.source)
        west = tf.cast(tf.constant(self.longitude[0], tf.float32), tf.float64)
        turns = tf.math.floor((longitude - west) / 360)
        row, column = self._index(latitude, self.latitude), self._index(longitude - 360 * turns, self.longitude)
        outside = (row < 0) | (column < 0)
        ids = tf.where(outside, tf.constant(-1, tf.int64), row * self._count(self.longitude) + column)
        return tf.ragged.boolean_mask(ids[:, None], ~tf.math.is_nan(latitude)[:, None])

    def _index(self, x: Any, bounds: tuple[float, float]) -> Any:
        """int64 [B]: how many edges lie between x and the first, -1 beyond the bounds; compared in float32."""
        import tensorflow as tf

        def edge(index: Any) -> Any:
            return tf.cast(bounds[0] + index * self.degrees, tf.float32)

        low, high = (tf.constant(bound, tf.float32) for bound in bounds)
        number = tf.cast(x, tf.float32)
        index = tf.math.floor((x - bounds[0]) / self.degrees)
        # What is written 40.1 lies on the edge at 40.1, though its float32 is a little less.
        index += tf.cast(edge(index + 1) <= number, tf.float64) - tf.cast(edge(index) > number, tf.float64)
        # The last edge has no cell behind it.
        index = tf.minimum(index, self._count(bounds) - 1)
        inside = (number >= low) & (number <= high)
        return tf.cast(tf.where(inside, index, tf.constant(-1.0, tf.float64)), tf.int64)
