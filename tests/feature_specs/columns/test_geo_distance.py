import math
from types import SimpleNamespace

import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.geo_distance import GeoDistance
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN = float("nan")
DEGREE = math.pi * 6371.0088 / 180
"""A degree of a great circle, in kilometres."""


class TestGeoDistance(ColumnContract):
    rows = {
        "geo_from_lat": pa.array([0, 0, 90, -90, None, 91, 45, 0], pa.float64()),
        "geo_from_lon": pa.array([0, 10, 17, 0, 0, 0, NAN, 190], pa.float64()),
        "geo_to_lat": pa.array([0, 0, -90, -60, 0, 0, 0, 0]),
        "geo_to_lon": pa.array([180, 11, 0, 0, 0, 0, 0, -171]),
    }
    columns = {
        "geo_to_point": {"kind": "geo_distance", "source": ["geo_from_lat", "geo_from_lon"], "to": [0.0, 0.0],
                         "missing": -1.0},
        "geo_trip": {"kind": "geo_distance", "source": ["geo_from_lat", "geo_from_lon"],
                     "to": ["geo_to_lat", "geo_to_lon"], "missing": 0.0},
    }  # fmt: skip
    # Along a meridian or the equator the way is that many degrees.
    transformed = {
        "geo_to_point": [0, 10 * DEGREE, 90 * DEGREE, 90 * DEGREE, -1, -1, -1, 170 * DEGREE],
        "geo_trip": [180 * DEGREE, DEGREE, 180 * DEGREE, 30 * DEGREE, 0, 0, 0, DEGREE],
    }
    no_raw = dict.fromkeys(columns, "geo_distance has no tf.feature_column over raw rows")


def kilometres(a, b):
    """From one place to another, by a column that reads both."""
    names = dict(zip(("a", "b", "c", "d"), (*a, *b), strict=True))
    column = GeoDistance(name="x", source=("a", "b"), to=("c", "d"), missing=-1)
    values = SimpleNamespace(scalar=lambda name: tf.constant([names[name]], tf.float32))
    return column.transform(values).numpy().item()


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        # A triangle of the sphere with three right angles, and by the law of cosines a right one of 60 and 60 degrees.
        ((0, 0), (0, 90), 90 * DEGREE),
        ((60, 0), (0, 60), math.degrees(math.acos(0.25)) * DEGREE),
        ((45, 20), (45, 110), 60 * DEGREE),
        ((40.6398, -73.7789), (51.4706, -0.4619), 5540),  # JFK to Heathrow
        # Both ways round, and over the 180th meridian.
        ((0, 179), (0, -179), 2 * DEGREE),
        ((0, 350), (0, 10), 20 * DEGREE),
        ((10, 180), (10, -180), 0),
        ((-33, 151), (33, -29), 180 * DEGREE),
    ],
)
def test_how_far_it_is(a, b, expected):
    tolerance = {"abs": 5} if expected == 5540 else {"rel": 1e-6, "abs": 1e-9}
    assert kilometres(a, b) == pytest.approx(expected, **tolerance)
    assert kilometres(b, a) == kilometres(a, b)


@pytest.mark.parametrize(
    "place", [(90.1, 0), (-90.1, 0), (0, -180.1), (0, 360.1), (NAN, 0), (0, NAN), (math.inf, 0), (0, -math.inf)]
)
def test_a_place_that_is_none_has_no_distance(place):
    assert kilometres(place, (0, 0)) == kilometres((0, 0), place) == -1


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({"to": [0, 0]}, "columns.0.source: is missing", "a value for 'source'"),
        ({"source": ["a", "b"]}, "columns.0.to: is missing", "a value for 'to'"),
        ({"source": ["a", "b"], "to": [0, 0], "missing": None}, "columns.0.missing: is not right", "a valid number"),
        ({"source": ["a"], "to": [0, 0]}, "columns.0.source.1: is missing", "a value for '1'"),
        ({"source": ["a", "a"], "to": [0, 0]}, "columns.0: is not right", "names an input twice"),
        ({"source": ["a", "b"], "to": ["c", "b"]}, "columns.0: is not right", "names an input twice"),
        ({"source": ["a", "b"], "to": [90.5, 0]}, "columns.0.to.0: is not right", "less than or equal to 90"),
        ({"source": ["a", "b"], "to": [0, -181]}, "columns.0.to.1: is not right", "greater than or equal to -180"),
        ({"source": ["a", "b"], "to": [NAN, 0]}, "columns.0.to.0: is not right", ""),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "geo_distance", "missing": 0} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected)
