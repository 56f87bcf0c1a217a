"""`tam`: its branches by hand, the reference's logits, and the contract."""

import re

import numpy as np
import pytest

from tests.trainers.backbones import by_hand
from tests.trainers.backbones.transplanted import RESNET, logits_by_its_file, state
from tests.trainers.backbones.video_contract import VideoContract, layer
from tests.trainers.drawn_weights import in_mmaction
from tests.trainers.test_pretrained import started
from tfloom.feature_specs.errors import SpecError
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


def test_the_logits_of_the_reference(tmp_path):
    told = logits_by_its_file(tmp_path, {"name": "tam"}, NAMES, frames=8)
    np.testing.assert_allclose(told, LOGITS, rtol=0, atol=1e-5)


def test_a_tanet_by_the_names_of_mmaction2(tmp_path):
    fields = {"name": "tam", "network": "resnet18", "width": 0.125}
    made = layer(fields, 5)
    tensors = state(made, NAMES)
    started(tmp_path, fields, tensors, made)
    expected = [variable.numpy() for variable in made.variables]
    plain = {re.sub(r"module\.(base_model\.|new_)", "", name): one for name, one in tensors.items()}
    blocks = {name.replace(".net.", ".block."): one for name, one in in_mmaction(plain).items()}
    assert {"backbone.layer1.0.block.conv1.conv.weight", "backbone.layer1.0.tam.L.1.running_mean"} < blocks.keys()
    for variable in made.trainable_variables:
        variable.assign(np.zeros(variable.shape))
    started(tmp_path, fields, blocks, made)
    for variable, value in zip(made.variables, expected, strict=True):
        np.testing.assert_array_equal(variable, value, err_msg=variable.path)


def test_what_was_learned_of_other_frames_is_refused(tmp_path):
    fields = {"name": "tam", "network": "resnet18", "width": 0.125}
    with pytest.raises(SpecError, match=r"(?s)tam\.G.*has another shape.*the file's `network`, `width` and frames"):
        started(tmp_path, fields, state(layer(fields, 5, 4), NAMES), layer(fields, 5, 8))
