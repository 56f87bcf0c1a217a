"""Random changes to pictures: of the sizes and shares that were asked for, and one draw for all frames of a clip."""

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.augmentation import Augmentation

HEIGHT, WIDTH, DRAWS = 40, 60, 200
PLACES = np.stack(np.broadcast_arrays(np.arange(HEIGHT)[:, None], np.arange(WIDTH), 0), axis=-1).astype(np.float32)
"""A picture whose pixels say where they lie."""
NOISE = np.random.default_rng(0).integers(40, 160, size=(HEIGHT, WIDTH, 3)).astype(np.uint8)


def drawn(pixels, height, width, short_side=None, seeds=range(DRAWS), **fields):
    """[len(seeds), ...]"""
    augmentation = Augmentation(**fields)
    apply = tf.function(lambda seed: augmentation.apply(tf.constant(pixels), height, width, short_side, seed))
    return np.stack([apply(tf.constant([5, i])).numpy() for i in seeds])


def test_crops_have_the_area_and_the_ratio():
    told = drawn(PLACES, 2, 2, crop=(0.2, 0.5), ratio=(0.5, 1.5))
    # Half of a crop lies between the middles of its halves.
    heights, widths = (2 * (told[:, -1, -1, i] - told[:, 0, 0, i]) for i in (0, 1))
    areas, ratios = heights * widths / (HEIGHT * WIDTH), widths / heights
    assert 0.18 < areas.min() < 0.24 < 0.46 < areas.max() < 0.52
    assert 0.45 < ratios.min() < 0.6 < 1.3 < ratios.max() < 1.6
    middles = told.mean(axis=(1, 2))[:, :2] / (HEIGHT, WIDTH)
    np.testing.assert_allclose(middles.mean(axis=0), 0.5, atol=0.05)
    assert (middles.std(axis=0) > 0.08).all()


def test_without_a_crop_it_is_the_middle_that_is_evaluated():
    np.testing.assert_array_equal(drawn(PLACES, 10, 10, short_side=40)[0], PLACES[15:25, 25:35])


def test_half_of_the_draws_are_flipped():
    told, augmentation = drawn(PLACES, HEIGHT, WIDTH, flip=True), Augmentation(flip=True)
    flipped = np.array([(one == PLACES[:, ::-1]).all() for one in told])
    assert [(one == PLACES).all() for one in told] == (~flipped).tolist()
    assert 80 < flipped.sum() < 120
    assert [bool(augmentation.flips(tf.constant([5, i]))) for i in range(DRAWS)] == flipped.tolist()
    assert not Augmentation().flips(tf.constant([5, 0]))


def test_brightness_is_a_factor_of_every_pixel():
    told = drawn(NOISE, HEIGHT, WIDTH, brightness=0.25)
    factors = told.mean(axis=(1, 2, 3)) / NOISE.mean()
    np.testing.assert_allclose(told, NOISE * factors[:, None, None, None], rtol=1e-5)
    assert 0.75 <= factors.min() < 0.8 < 1.2 < factors.max() <= 1.25


def test_contrast_leaves_the_mean_of_each_channel():
    told = drawn(NOISE, HEIGHT, WIDTH, contrast=0.25).astype(np.float64)
    np.testing.assert_allclose(told.mean(axis=(1, 2)), np.broadcast_to(NOISE.mean(axis=(0, 1)), (DRAWS, 3)), rtol=1e-5)
    factors = told.std(axis=(1, 2)) / NOISE.std(axis=(0, 1))
    np.testing.assert_allclose(factors, np.broadcast_to(factors[:, :1], factors.shape), rtol=1e-4)
    assert 0.75 <= factors.min() < 0.8 < 1.2 < factors.max() <= 1.2501


def test_pixels_stay_within_their_range():
    told = drawn(np.uint8([[[0, 255, 128]]]), 1, 1, brightness=0.9)
    assert told.min() == 0
    assert told.max() == 255


@pytest.mark.parametrize("short_side", [None, 30])
def test_all_frames_of_a_clip_are_changed_alike(short_side):
    everything = {"crop": (0.2, 0.9), "flip": True, "brightness": 0.3, "contrast": 0.3}
    told = drawn(np.stack([NOISE] * 3), 16, 12, short_side, range(8), **everything)
    assert told.shape == (8, 3, 16, 12, 3)
    for frame in (1, 2):
        np.testing.assert_array_equal(told[:, frame], told[:, 0])
    np.testing.assert_allclose(told[:, 0], drawn(NOISE, 16, 12, short_side, range(8), **everything), rtol=1e-4)
