"""`tam`: its branches by hand, the reference's logits, and the contract."""

import numpy as np
import tensorflow as tf

from tests.trainers.backbones import by_hand
from tests.trainers.backbones.transplanted import RESNET, clips, transplant
from tests.trainers.backbones.video_contract import VideoContract, layer
from tfloom.feature_specs.features import Clip
from tfloom.trainers.backbones.tam import TemporalAdaptive


class TestTam(VideoContract):
    fields = {"name": "tam"}
    parameters, gmacs = 25_127_246, 32.76


def test_by_hand():
    frames, x = 5, np.random.default_rng(0).normal(size=[10, 4, 3, 8])
    made = by_hand.filled(lambda: TemporalAdaptive(frames, 8), x.shape)
    hidden, hidden_norm, _, to_kernel, _ = made.kernel
    gate, gate_norm, _, back = made.gate
    expected = []
    for clip in x.reshape(2, frames, 4, 3, 8):
        means = clip.mean(axis=(1, 2))
        logits = by_hand.relu(by_hand.norm(means.T @ hidden.kernel.numpy(), hidden_norm)) @ to_kernel.kernel.numpy()
        kernel = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
        padded = np.pad(means, [(1, 1), (0, 0)])
        local = sum(padded[k : k + frames] @ gate.kernel.numpy()[k] for k in range(3))
        local = by_hand.sigmoid(by_hand.relu(by_hand.norm(local, gate_norm)) @ back.kernel.numpy()[0])
        expected.append(by_hand.over_time(clip * local[:, None, None], kernel.T, frames))
    assert hidden.kernel.shape == (5, 10)
    assert gate.kernel.shape == (3, 8, 2)
    np.testing.assert_allclose(made(x), np.concatenate(expected), rtol=1e-10, atol=1e-10)


# Of liu-zhy/temporal-adaptive-module, ops/temporal_module.py, in torchvision's ResNet-50 with 5 classes, and the mean
# over frames; made as `transplanted` says.
NAMES = (
    (r"tam/kernel1/", "tam.G.0."),
    (r"tam/kernel_norm/", "tam.G.1."),
    (r"tam/kernel2/", "tam.G.3."),
    (r"tam/gate1/", "tam.L.0."),
    (r"tam/gate_norm/", "tam.L.1."),
    (r"tam/gate2/", "tam.L.3."),
    (r"(layer\d_\d)/(?!tam)", r"\1/net."),
    *RESNET,
)
LOGITS = [
    [-0.24002312, -0.16961737, 0.08889601, -0.10572344, -0.16926798],
    [-0.2513316, -0.17606407, 0.08766685, -0.1131421, -0.1710085],
]


def test_the_logits_of_the_reference():
    made = layer({"name": "tam"}, units=5)
    transplant(made, NAMES)
    logits = made.call({"clip": (Clip(tf.constant(clips(8, 64))),)})
    np.testing.assert_allclose(logits, LOGITS, rtol=0, atol=1e-5)
