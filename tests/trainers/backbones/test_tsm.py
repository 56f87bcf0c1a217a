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
