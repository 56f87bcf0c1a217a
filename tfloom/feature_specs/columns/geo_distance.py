"""`geo_distance`: how far a place is from a point, or from another place of the row."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import FiniteFloat, model_validator

from tfloom.feature_specs.column import Batch, Column, Transformed, Values
from tfloom.feature_specs.features import Dense
from tfloom.feature_specs.inputs import Dtype
from tfloom.feature_specs.places import Inputs, Latitude, Longitude, place

EARTH_RADIUS_KM = 6371.0088
"""The mean radius R1 of the GRS 80 ellipsoid (H. Moritz, Geodetic Reference System 1980, J. Geodesy 74, 2000)."""


class GeoDistance(Column):
    """The distance over the globe between two places in kilometres, float32 [B, 1].

    source: the inputs `[latitude, longitude]` of a place, in degrees.
    to: the other place: two numbers for a point, or two inputs.
    missing: what it is where one of the places is missing or none that there is.
    """

    accepts: ClassVar[tuple[Dtype, ...]] = ("float32", "int64")

    kind: Literal["geo_distance"] = "geo_distance"
    source: Inputs
    to: tuple[Latitude, Longitude] | Inputs
    missing: FiniteFloat

    @model_validator(mode="after")
    def _reads_each_once(self) -> GeoDistance:
        if len(set(self.inputs())) != len(self.inputs()):
            raise ValueError("names an input twice, needs another latitude and longitude for each place")
        return self

    def inputs(self) -> tuple[str, ...]:
        return (*self.source, *(name for name in self.to if isinstance(name, str)))

    @property
    def transformed_type(self) -> Transformed:
        return Transformed("float32", 1)

    def transform(self, values: Values) -> Any:
        import tensorflow as tf

        kilometres = tf.cast(_haversine(place(values, self.source), self._other(values)), tf.float32)
        missing = tf.constant(self.missing, tf.float32)
        return tf.where(tf.math.is_nan(kilometres), missing, kilometres)[:, None]

    def _other(self, values: Values) -> tuple[Any, Any]:
        import tensorflow as tf

        match self.to:
            case (str() as latitude, str() as longitude):
                return place(values, (latitude, longitude))
        return tf.constant(self.to[0], tf.float64), tf.constant(self.to[1], tf.float64)

    def encode(self, batch: Batch, variables: Mapping[str, Any], num_buckets: Mapping[str, int]) -> Dense:
        return Dense(batch.value(self.name))

    def transformed_feature_column(self, columns: Mapping[str, Column], num_buckets: Mapping[str, int]) -> Any:
        import tensorflow as tf

        return tf.feature_column.numeric_column(self.name)


def _haversine(a: tuple[Any, Any], b: tuple[Any, Any]) -> Any:
    """float64 [B], kilometres (R. W. Sinnott, Virtues of the Haversine, Sky and Telescope 68 (2), 1984, p. 159)."""
    import tensorflow as tf

    (latitude_a, longitude_a), (latitude_b, longitude_b) = ([x * (math.pi / 180) for x in one] for one in (a, b))
    h = tf.sin((latitude_b - latitude_a) / 2) ** 2 + (
        tf.cos(latitude_a) * tf.cos(latitude_b) * tf.sin((longitude_b - longitude_a) / 2) ** 2
    )
    # Between antipodes rounding may bring it above 1. NaN stays NaN.
    return 2 * EARTH_RADIUS_KM * tf.asin(tf.sqrt(tf.where(h > 1, tf.ones_like(h), h)))
