"""`stm`: the module by hand, the network beside the same one in PyTorch, and the contract."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones import by_hand
from tests.trainers.backbones.transplanted import RESNET, clips, transplant
from tests.trainers.backbones.video_contract import VideoContract, layer
from tests.trainers.drawn_weights import drawn, resnet
from tests.trainers.test_pretrained import started
from tfloom.feature_specs.features import Clip
from tfloom.trainers.backbones.stm import SpatioTemporalMotion
from tfloom.trainers.networks.temporal import shift
from tfloom.trainers.train_spec import TrainSpec


class TestStm(VideoContract):
    fields = {"name": "stm"}
    parameters, gmacs = 24_035_194, 33.02


X = np.random.default_rng(0).normal(size=[8, 5, 6, 32])


@pytest.mark.parametrize("stride", [1, 2])
def test_by_hand(stride):
    made = by_hand.filled(lambda: SpatioTemporalMotion(4, 32, stride), X.shape)
    cstm = by_hand.conv(by_hand.over_time(X, made.temporal.kernel.numpy(), 4), made.spatial, stride)
    cmm = by_hand.motion(by_hand.conv(X, made.reduce), made.next, 4)
    expected = by_hand.relu(by_hand.norm(cstm + by_hand.conv(cmm, made.expand, stride), made.norm))
    assert made.reduce.kernel.shape == (1, 1, 32, 2)
    np.testing.assert_allclose(made(X), expected, rtol=1e-10, atol=1e-10)


def test_it_starts_as_a_shift_of_a_quarter_from_each_side():
    made = SpatioTemporalMotion(4, 32, 1)
    made(X)
    np.testing.assert_array_equal(made.temporal(X), shift(tf.constant(X, tf.float32), 4, share=4))


# No published implementation has as many parameters (its authors' normalizes within CMM). These are of torchvision's
# ResNet-50 with 5 classes and, as `conv2` of each block, the module as the paper has it; made as `transplanted` says.
NAMES = (
    (r"stm/temporal/", "conv2.shift."),
    (r"stm/spatial/", "conv2.conv."),
    (r"stm/reduce/", "conv2.stage_conv."),
    (r"stm/next/", "conv2.dw."),
    (r"stm/expand/", "conv2.conv1x1."),
    (r"stm/norm/", "bn2."),
    *RESNET,
)
LOGITS = [
    [-0.05116152, -0.45676702, 0.35442084, 0.19943392, -0.33951783],
    [-0.02756862, -0.4466297, 0.3565573, 0.1985105, -0.33478916],
]


def test_the_network_in_pytorch():
    made = layer({"name": "stm"}, units=5)
    transplant(made, NAMES)
    logits = made.call({"clip": (Clip(tf.constant(clips(8, 64))),)})
    np.testing.assert_allclose(logits, LOGITS, rtol=0, atol=1e-5)


def test_weights_of_a_resnet_go_into_its_3_x_3_convolutions(tmp_path):
    fields = {"name": "stm", "width": 0.125}
    tensors = drawn(resnet(50, 5, width=8))
    made = started(tmp_path, fields, tensors, layer(fields, 5))
    for stage, blocks in enumerate(made.over_clips.network.stages, 1):
        for i, block in enumerate(blocks):
            stm, name = block.steps[1], f"layer{stage}.{i}"
            np.testing.assert_array_equal(stm.spatial.kernel, tensors[f"{name}.conv2.weight"].transpose(2, 3, 1, 0))
            np.testing.assert_array_equal(stm.norm.moving_mean, tensors[f"{name}.bn2.running_mean"])


def test_a_network_without_dense_3_x_3_convolutions_is_refused():
    with pytest.raises(ValueError, match="resnet18"):
        TrainSpec(backbone={"name": "stm", "network": "mobilenet_v2"})
