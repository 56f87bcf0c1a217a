"""`tsm`: the temporal shift, by hand, beside the contract."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones.video_contract import VideoContract
from tfloom.trainers.networks.temporal import fold, shift, temporal_conv


class TestTsm(VideoContract):
    fields = {"name": "tsm"}
    parameters, gmacs = 23_864_558, 32.70


class TestOnline(VideoContract):
    fields = {"name": "tsm", "online": True}
    parameters, gmacs = 23_864_558, 32.70


CLIPS = np.random.default_rng(0).normal(size=[2, 4, 3, 5, 16])


@pytest.mark.parametrize("both", [True, False])
def test_shift(both):
    expected = CLIPS.copy()
    if both:
        expected[:, :, ..., :4] = 0
        expected[:, :-1, ..., :2] = CLIPS[:, 1:, ..., :2]
        expected[:, 1:, ..., 2:4] = CLIPS[:, :-1, ..., 2:4]
    else:
        expected[:, :, ..., :2] = 0
        expected[:, 1:, ..., :2] = CLIPS[:, :-1, ..., :2]
    np.testing.assert_array_equal(shift(fold(tf.constant(CLIPS)), 4, both=both), expected.reshape(8, 3, 5, 16))


@pytest.mark.parametrize("shape", [(3, 16), (2, 3, 16), (5, 16)])
def test_temporal_conv(shape):
    kernel = np.random.default_rng(1).normal(size=shape)
    around, own = shape[-2] // 2, np.broadcast_to(kernel, (2, *shape[-2:]))
    padded = np.pad(CLIPS, [(0, 0), (around, around), (0, 0), (0, 0), (0, 0)])
    expected = sum(padded[:, k : k + 4] * own[:, k][:, None, None, None] for k in range(shape[-2]))
    told = temporal_conv(fold(tf.constant(CLIPS)), tf.constant(kernel), 4)
    np.testing.assert_allclose(told, expected.reshape(8, 3, 5, 16), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("both", [True, False])
def test_the_gradient_of_a_shift(both):
    """The sum of w * shift(x) has at each x the w of the place to which it was moved."""
    x, w = tf.constant(CLIPS.reshape(8, 3, 5, 16)), np.random.default_rng(1).normal(size=[8, 3, 5, 16])
    with tf.GradientTape() as tape:
        tape.watch(x)
        total = tf.reduce_sum(w * shift(x, 4, both=both))
    place = tf.reshape(tf.range(tf.size(x), dtype=tf.float64) + 1, x.shape)
    came_from = shift(place, 4, both=both).numpy().ravel().astype(int)  # 0: from outside
    expected = np.zeros(x.shape.num_elements() + 1)
    expected[came_from] = w.ravel()
    np.testing.assert_allclose(tape.gradient(total, x).numpy().ravel(), expected[1:])
