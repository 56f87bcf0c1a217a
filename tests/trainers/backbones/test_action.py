"""`action`: ACTION-Net, by hand and beside the reference implementation."""

import numpy as np
import tensorflow as tf

from tests.trainers.backbones.by_hand import conv, filled, motion, norm, over_time, relu, sigmoid
from tests.trainers.backbones.transplanted import RESNET, logits_by_its_file
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


def test_logits_are_those_of_the_reference(tmp_path):
    """Its Action in each block of torchvision's resnet50, 4 segments, and the mean of their scores."""
    expected = [
        [0.66183639, -1.29442275, 1.10638988, 0.32288238, -0.06784040],
        [0.62122273, -1.36600578, 1.38190532, 0.35356268, 0.06994506],
    ]
    told = logits_by_its_file(tmp_path, {"name": "action"}, NAMES)
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-4)


def test_the_formula():
    """Section 3 of the paper: x + x m for the masks of places (STE), channels (CE) and motion (ME), summed."""
    x = np.random.default_rng(0).normal(size=[8, 3, 5, 32])
    layer = filled(lambda: Excitation(4, 32), x.shape)
    told = layer(tf.constant(x))

    x = over_time(x, layer.shift.kernel.numpy(), 4)
    ste = over_volume(x.mean(axis=-1).reshape(2, 4, 3, 5), layer.places.kernel.numpy()[..., 0, 0]).reshape(8, 3, 5, 1)
    ce = along(conv(mean(x), layer.channels.squeeze).reshape(2, 4, 2), layer.channels.conv.kernel.numpy())
    ce = conv(relu(ce).reshape(8, 1, 1, 2), layer.channels.expand)
    reduced = norm(conv(x, layer.motion.squeeze), layer.motion.norm)
    me = conv(mean(motion(reduced, layer.motion.conv, 4)), layer.motion.expand)
    expected = sum(x + x * sigmoid(mask) for mask in (ste, ce, me))
    np.testing.assert_allclose(told, expected, rtol=1e-10, atol=1e-10)


def mean(x):
    """Over the picture: [N, 1, 1, C]."""
    return x.mean(axis=(1, 2), keepdims=True)


def along(x, kernel):
    """[B, T, C] through a convolution over time, kernel [3, C, C']."""
    padded = np.pad(x, [(0, 0), (1, 1), (0, 0)])
    return sum(padded[:, k : k + x.shape[1]] @ kernel[k] for k in range(3))


def over_volume(x, kernel):
    """[B, T, H, W] through a convolution, kernel [3, 3, 3]."""
    padded = np.pad(x, [(0, 0), (1, 1), (1, 1), (1, 1)])
    seen = np.lib.stride_tricks.sliding_window_view(padded, (3, 3, 3), axis=(1, 2, 3))
    return np.einsum("bthwkij,kij->bthw", seen, kernel)
