"""`action`: ACTION-Net, by hand and beside the reference implementation."""

import numpy as np
import tensorflow as tf

from tests.trainers.backbones.transplanted import RESNET, fill, logits
from tests.trainers.backbones.video_contract import VideoContract
from tfloom.trainers.backbones.action import Excitation


class TestAction(VideoContract):
    fields = {"name": "action"}
    small = {"network": "resnet18", "width": 0.5, "dropout": 0.0}  # a sixteenth of the channels is more than one
    parameters, gmacs = 28_082_378, 34.44


# From our names to those of models/action.py of V-Sense/ACTION-Net.
NAMES = (
    *RESNET,
    (r"action/shift/kernel$", "conv1.action_shift.weight"),
    (r"action/ste/kernel$", "conv1.action_p1_conv1.weight"),
    (r"action/ce/conv/", "conv1.action_p2_conv1."),
    (r"action/ce/", "conv1.action_p2_"),
    (r"action/me/norm/", "conv1.action_p3_bn1."),
    (r"action/me/conv/", "conv1.action_p3_conv1."),
    (r"action/me/", "conv1.action_p3_"),
    (r"(layer\d\.\d\.conv1)\.kernel$", r"\1.net.weight"),
)


def test_logits_are_those_of_the_reference():
    """Its Action in each block of torchvision's resnet50, 4 segments, and the mean of their scores."""
    expected = [
        [0.66183639, -1.29442275, 1.10638988, 0.32288238, -0.06784040],
        [0.62122273, -1.36600578, 1.38190532, 0.35356268, 0.06994506],
    ]
    np.testing.assert_allclose(logits({"name": "action"}, NAMES), expected, rtol=0, atol=1e-4)


def test_the_formula(float64):
    """Section 3 of the paper: x + x m for the masks of places (STE), channels (CE) and motion (ME), summed."""
    clip = np.random.default_rng(0).normal(size=[2, 4, 3, 5, 32])
    layer = Excitation(4, 32)
    layer(tf.constant(clip.reshape(8, 3, 5, 32)))
    fill(layer)
    told = layer(tf.constant(clip.reshape(8, 3, 5, 32)))

    x = over_time(clip, layer.shift.kernel.numpy(), np.multiply)
    ste = over_volume(x.mean(axis=-1), layer.places.kernel.numpy()[..., 0, 0])[..., None]
    squeezed = x.mean(axis=(2, 3), keepdims=True) @ kernel(layer.channels.squeeze)
    ce = np.maximum(over_time(squeezed, layer.channels.conv.kernel.numpy(), np.matmul), 0) @ kernel(
        layer.channels.expand
    )
    norm = layer.motion.norm
    reduced = (x @ kernel(layer.motion.squeeze) - norm.moving_mean) / np.sqrt(norm.moving_variance + 1e-5)
    reduced = reduced * norm.gamma + norm.beta
    filtered = over_place(reduced, layer.motion.conv.kernel.numpy()[..., 0])
    motion = np.zeros_like(reduced)
    motion[:, :-1] = filtered[:, 1:] - reduced[:, :-1]
    me = motion.mean(axis=(2, 3), keepdims=True) @ kernel(layer.motion.expand)
    expected = sum(x + x / (1 + np.exp(-mask)) for mask in (ste, ce, me))
    np.testing.assert_allclose(told, expected.reshape(8, 3, 5, 32), rtol=1e-10, atol=1e-10)


def kernel(conv):
    """Of a 1 x 1 convolution: [inputs, outputs]."""
    return conv.kernel.numpy()[0, 0]


def over_time(x, weights, times):
    """[B, T, ..., C] with weights [3, ...]: the first for t - 1, zeros around."""
    padded = np.pad(x, [(0, 0), (1, 1)] + [(0, 0)] * (x.ndim - 2))
    return sum(times(padded[:, k : k + x.shape[1]], weights[k]) for k in range(3))


def over_place(x, weights):
    """[B, T, H, W, C] with weights [3, 3, C], of each channel by itself."""
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = x.shape[2:4]
    return sum(padded[:, :, i : i + height, j : j + width] * weights[i, j] for i in range(3) for j in range(3))


def over_volume(x, weights):
    """[B, T, H, W] with weights [3, 3, 3]."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (1, 1)])
    (frames, height, width), taps = x.shape[1:], np.ndindex(3, 3, 3)
    return sum(padded[:, t : t + frames, i : i + height, j : j + width] * weights[t, i, j] for t, i, j in taps)
