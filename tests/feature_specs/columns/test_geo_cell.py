import math
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.geo_cell import GeoCell
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN = float("nan")
BOX = {"latitude": [40.0, 41.0], "longitude": [-74.0, -73.0]}
# The world is two rows of four cells, the box two rows of two: the north of both is their second row.
WORLD = [[0], [5], [5], [5], [], [], [], [5]]
IN_BOX = [[-1], [0], [3], [3], [], [], [], [3]]
CROSSED = tf.ragged.cross_hashed(
    [tf.ragged.constant(ids, tf.int64, ragged_rank=1) for ids in (WORLD, IN_BOX)], 1000
).to_list()


class TestGeoCell(ColumnContract):
    rows = {
        "geo_cell_lat": pa.array([-90, 40.0, 40.6, 41.0, None, 95, 45, 40.5], pa.float64()),
        "geo_cell_lon": pa.array([-180, -74.0, -73.4, -73.0, 0, 0, NAN, 286.5], pa.float64()),
    }
    columns = {
        "geo_world": {"kind": "geo_cell", "source": ["geo_cell_lat", "geo_cell_lon"], "degrees": 90.0},
        "geo_box": {"kind": "geo_cell", "source": ["geo_cell_lat", "geo_cell_lon"], "degrees": 0.5, **BOX},
        "geo_sizes": {"kind": "crossed", "of": ["geo_world", "geo_box"], "buckets": 1000},
    }
    transformed = {"geo_world": WORLD, "geo_box": IN_BOX, "geo_sizes": CROSSED}
    no_raw = dict.fromkeys(columns, "geo_cell has no tf.feature_column over raw rows")


def cells(latitudes, longitudes, **fields):
    column = GeoCell(name="x", source=("a", "b"), **fields)
    read = {"a": tf.constant(latitudes, tf.float32), "b": tf.constant(longitudes, tf.float32)}
    return column.transform(SimpleNamespace(scalar=read.__getitem__)).to_list()


def test_an_edge_belongs_to_the_cell_north_and_east_of_it_but_for_the_last():
    # In binary 40.1 and 40.7 are a little less.
    tenths = {"degrees": 0.1, "latitude": (40.0, 41.0), "longitude": (0.0, 0.1)}
    assert cells([40 + i / 10 for i in range(11)], [0.0] * 11, **tenths) == [[i] for i in (*range(10), 9)]
    assert cells([40.0999, 40.6999], [0, 0], **tenths) == [[0], [6]]


def test_rows_of_cells_lie_from_south_to_north_and_cells_from_west_to_east():
    two_by_three = {"degrees": 10, "latitude": (0, 20), "longitude": (0, 30)}
    assert GeoCell(name="x", source=("a", "b"), **two_by_three).num_buckets(0) == 6
    assert cells([5, 5, 5, 15, 15, 15], [5, 15, 25, 5, 15, 25], **two_by_three) == [[0], [1], [2], [3], [4], [5]]


@pytest.mark.parametrize(
    ("degrees", "latitude", "longitude", "expected"),
    [
        (1, (-90, 90), (-180, 180), 180 * 360),
        (0.1, (0, 0.3), (0, 0.7), 3 * 7),
        (0.1, (0, 1.1), (0, 0.1), 11),
        (7, (0, 10), (0, 10), 2 * 2),
        (360, (-90, 90), (-180, 180), 1),
    ],
)
def test_how_many_cells_there_are(degrees, latitude, longitude, expected):
    column = GeoCell(name="x", source=("a", "b"), degrees=degrees, latitude=latitude, longitude=longitude)
    assert column.num_buckets(0) == expected


def test_longitudes_go_round_the_globe():
    # One meridian under two names; the first of the world's four cells begins there.
    assert cells([0] * 4, [180, -180, 190, -170], degrees=90) == [[4]] * 4
    assert cells([0] * 4, [0, 360, 359, -1], degrees=90) == [[6], [6], [5], [5]]
    over = {"degrees": 10, "latitude": (-10, 10), "longitude": (170, 190)}
    assert cells([0] * 5, [170, 179, 180, -175, -170], **over) == [[2], [2], [3], [3], [3]]
    assert cells([0] * 3, [169, -169, 0], **over) == [[-1], [-1], [-1]]


def test_a_place_that_is_none_has_no_cell_and_one_beyond_the_grid_is_unknown():
    nowhere = [(90.1, 0), (0, -180.1), (0, 360.1), (NAN, 0), (0, NAN), (math.inf, 0)]
    assert cells(*zip(*nowhere, strict=True), degrees=90) == [[]] * 6
    beyond = [(39.99, -73.5), (41.01, -73.5), (40.5, -74.01), (40.5, -72.99), (40.5, 106.5)]
    assert cells(*zip(*beyond, strict=True), degrees=0.5, **BOX) == [[-1]] * 5


# TensorFlow's kernels take subnormal numbers for 0, numpy does not.
@given(
    st.floats(-90, 90, width=32, allow_subnormal=False),
    st.floats(-180, 179, width=32, allow_subnormal=False),
    st.sampled_from([0.1, 0.25, 0.7, 3, 11, 100]),
)
def test_a_cell_is_the_edges_that_lie_before_it(latitude, longitude, degrees):
    def before(x, low, high):
        edges = np.float32(low + degrees * np.arange(math.ceil((high - low) / degrees - 1e-9)))
        return int(np.searchsorted(edges, np.float32(x), side="right")) - 1, len(edges)

    (row, _), (column, columns) = before(latitude, -90, 90), before(longitude, -180, 180)
    assert cells([latitude], [longitude], degrees=degrees) == [[row * columns + column]]


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({}, "columns.0.degrees: is missing", "a value for 'degrees'"),
        ({"degrees": 0}, "columns.0.degrees: is not right", "greater than 0"),
        ({"degrees": NAN}, "columns.0.degrees: is not right", ""),
        ({"degrees": 0.001}, "columns.0.degrees: there are too many cells", "2147483647 cells at most"),
        ({"degrees": 1, "source": ["a", "a"]}, "columns.0: is not right", "needs two inputs in source"),
        ({"degrees": 1, "latitude": [10, 10]}, "columns.0: is not right", "needs a latitude that increases"),
        ({"degrees": 1, "latitude": [-91, 10]}, "columns.0.latitude.0: is not right", "greater than or equal to -90"),
        ({"degrees": 1, "longitude": [170, -170]}, "columns.0: is not right", "needs a longitude that increases"),
        ({"degrees": 1, "longitude": [-180, 360]}, "columns.0: is not right", "needs a longitude that increases"),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "geo_cell", "source": ["a", "b"]} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.expected.startswith(expected)
