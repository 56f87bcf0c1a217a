"""Other forms of a clip and of a picture than the raw row: the model is given the same of each."""

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.columns.image import Image
from tfloom.feature_specs.columns.optical_flow import OpticalFlow
from tfloom.feature_specs.columns.video import Video
from tfloom.feature_specs.encoded import Encoded

FIELDS = {"name": "x", "content": "frames", "frames": 3, "height": 16, "width": 16, "short_side": 16}
COLUMNS = [
    Video(**FIELDS),
    Video(**FIELDS, test_clips=2, test_crops=3),
    Video(**FIELDS, sampling="dense"),
    OpticalFlow(**FIELDS, stack=2),
]
IDS = ["video", "views", "dense", "optical_flow"]


def pictures(column, count=9):
    """A row of frames of noise, 20 x 30, as JPEGs."""
    shape = [20, 30, 3 if column.channels == 3 else 1]
    rng = np.random.default_rng(7)
    noise = [rng.integers(256, size=shape).astype(np.uint8) for _ in range(count * column.pictures_a_moment)]
    return [tf.io.encode_jpeg(one, quality=90).numpy() for one in noise]


def encoded(column, value):
    feature = Encoded({"x": column}, {"x": value}, {}, {}).feature("x")
    return feature.values.numpy(), getattr(feature, "views", 1)


@pytest.mark.parametrize("column", COLUMNS, ids=IDS)
def test_a_clip_of_pixels_is_what_its_pictures_are(column):
    row = tf.constant([pictures(column)])
    clip = column._clip(column._moments(row[0]))[None]
    form = column.served_forms()["clip_uint8"]
    assert [None if size is None else int(size) for size in form.shape] == [None, None, None, column.channels]
    told, expected = encoded(column, form.read(clip)), encoded(column, row)
    assert told[1] == expected[1]
    np.testing.assert_array_equal(told[0], expected[0])


@pytest.mark.parametrize("column", COLUMNS, ids=IDS)
def test_golden_frames_are_those_that_are_seen(column):
    """As pixels the first view; as pictures the crops of the middle clip."""
    row, forms = tf.constant([pictures(column)]), column.served_forms()
    views = encoded(column, row)[0]
    frames = forms["frames_uint8"].golden(row)
    assert (frames.dtype, frames.shape[1:]) == ("uint8", forms["frames_uint8"].shape)
    np.testing.assert_array_equal(encoded(column, forms["frames_uint8"].read(frames))[0], views[:1])
    jpegs = forms["frames_jpeg"].golden(row)
    assert jpegs.shape[1:] == forms["frames_jpeg"].shape
    if column.test_clips == 1:
        np.testing.assert_array_equal(encoded(column, forms["frames_jpeg"].read(jpegs))[0], views)
    small = forms["clip_uint8"].golden(row)
    assert small.shape == (1, 9, 20, 30, column.channels)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_picture_of_pixels_is_what_it_is_encoded(channels):
    column = Image(name="x", height=8, width=12, short_side=16, channels=channels)
    pixels = np.random.default_rng(1).integers(256, size=[2, 20, 30, channels]).astype(np.uint8)
    form = column.served_forms()["image_uint8"]
    row = tf.constant([tf.io.encode_png(one).numpy() for one in pixels])
    np.testing.assert_array_equal(encoded(column, form.read(tf.constant(pixels)))[0], encoded(column, row)[0])
    np.testing.assert_array_equal(form.golden(row), pixels[:1])


def test_what_is_written_down_of_large_pictures_is_small():
    column = Image(name="x", height=8, width=8)
    row = tf.constant([tf.io.encode_png(np.zeros([1000, 130, 3], np.uint8)).numpy()])
    assert column.served_forms()["image_uint8"].golden(row).shape == (1, 250, 33, 3)
