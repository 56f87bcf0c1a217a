"""`tsm`: the temporal shift, by hand, beside the contract."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones.video_contract import FRAMES, SIZE, VideoContract, traced
from tfloom.feature_specs.columns.video import Video
from tfloom.trainers.backbones.tsm import _online
from tfloom.trainers.networks.layers import TemporalConv
from tfloom.trainers.networks.temporal import difference, fold, shift, temporal_conv


class TestTsm(VideoContract):
    fields = {"name": "tsm"}
    parameters, gmacs = 23_864_558, 32.70


class TestOnline(VideoContract):
    fields = {"name": "tsm", "online": True}
    parameters, gmacs = 23_864_558, 32.70

    def test_the_frames_one_by_one_are_the_clip(self, filled):
        """The mean of their outputs, with what a frame hands on going in and out."""
        column = Video(name="clip", frames=FRAMES, height=SIZE, width=SIZE, scale="none")
        one = _online(column, filled.over_clips, lambda outputs: {"logits": outputs})
        frames = np.random.default_rng(4).integers(-2, 3, size=[2, FRAMES, SIZE, SIZE, 3]) + 2
        caches = {n: tf.zeros([2, *spec.shape[1:]]) for n, spec in one.inputs.items() if n.startswith("cache_")}
        assert len(caches) == 8  # one for each block
        call, outputs = tf.function(one.call), []
        for t in range(FRAMES):
            told = call({"frame_uint8": tf.constant(frames[:, t], tf.uint8)} | caches)
            caches = {name: told[name] for name in caches}
            outputs.append(told["logits"].numpy())
        expected = traced(filled)(tf.constant(frames, tf.float32))
        np.testing.assert_allclose(np.mean(outputs, axis=0), expected, rtol=1e-5, atol=1e-5)
        first = call({"frame_uint8": tf.constant(frames[:, -1], tf.uint8)} | {n: 0 * v for n, v in caches.items()})
        assert np.abs(first["logits"] - outputs[-1]).max() > 1e-3


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


@pytest.mark.parametrize("by", [1, -1])
def test_difference(by):
    there, here = CLIPS, CLIPS**2
    expected = np.zeros_like(CLIPS)
    for t in range(4):
        if 0 <= t + by < 4:
            expected[:, t] = there[:, t + by] - here[:, t]
    told = difference(fold(tf.constant(there)), fold(tf.constant(here)), 4, by)
    np.testing.assert_array_equal(told, expected.reshape(8, 3, 5, 16))


@pytest.mark.parametrize("share", [2, 4, 8, None])
def test_a_learned_shift_starts_as_the_shift(share):
    x = fold(tf.constant(CLIPS.astype(np.float32)))
    expected = x if share is None else shift(x, 4, share)
    np.testing.assert_array_equal(TemporalConv(4, "temporal", share)(x), expected)


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
