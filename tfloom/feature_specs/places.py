"""Places on the earth: a latitude and a longitude in degrees, each an input."""

from __future__ import annotations

import math
from typing import Annotated, Any

from pydantic import Field

from tfloom.feature_specs.column import Values

Inputs = tuple[str, str]
"""The names of two inputs, the latitude and the longitude."""

Latitude = Annotated[float, Field(ge=-90, le=90)]
Longitude = Annotated[float, Field(ge=-180, le=360)]
"""180 and -180 are one meridian, and so are 190 and -170: both ways of counting are read."""


def place(values: Values, inputs: Inputs) -> tuple[Any, Any]:
    """(latitude, longitude) in degrees, float64 [B]; both NaN where one is missing or none that there is."""
    import tensorflow as tf

    latitude, longitude = (tf.cast(values.scalar(name), tf.float64) for name in inputs)
    is_one = (tf.abs(latitude) <= 90) & (longitude >= -180) & (longitude <= 360)
    nowhere = tf.constant(math.nan, tf.float64)
    return tf.where(is_one, latitude, nowhere), tf.where(is_one, longitude, nowhere)
