"""`tea`: its modules by hand, the reference's logits, and the contract."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones import by_hand
from tests.trainers.backbones.transplanted import RESNET, logits_by_its_file
from tests.trainers.backbones.video_contract import VideoContract, layer
from tests.trainers.drawn_weights import drawn, resnet
from tests.trainers.test_pretrained import started
from tfloom.trainers.backbones.tea import MotionExcitation, MultipleTemporalAggregation
from tfloom.trainers.networks.temporal import shift
from tfloom.trainers.train_spec import TrainSpec


class TestTea(VideoContract):
    fields = {"name": "tea"}
    small = {"width": 0.125, "dropout": 0.0}
    parameters, gmacs = 24_456_280, 34.54


X = np.random.default_rng(0).normal(size=[8, 5, 6, 32])


def test_motion_excitation_by_hand():
    made = by_hand.filled(lambda: MotionExcitation(4, 32), X.shape)
    reduced = by_hand.norm(by_hand.conv(X, made.reduce.conv), made.reduce.norm)
    pooled = by_hand.motion(reduced, made.next, 4).mean(axis=(1, 2), keepdims=True)
    moves = by_hand.norm(by_hand.conv(pooled, made.expand.conv), made.expand.norm)
    expected = X + X * (by_hand.sigmoid(moves) - 0.5)
    assert made.reduce.conv.kernel.shape == (1, 1, 32, 2)
    np.testing.assert_allclose(made(X), expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("stride", "first"), [(1, False), (1, True), (2, True)])
def test_multiple_temporal_aggregation_by_hand(stride, first):
    made = by_hand.filled(lambda: MultipleTemporalAggregation(4, 8, stride, first), X.shape)
    parts = [X[..., :8], X[..., 8:16], X[..., 16:24]]
    expected = []
    for i, part in enumerate(parts):
        given = part if first or i == 0 else part + expected[-1]
        moved = by_hand.over_time(given, made.temporal[i].kernel.numpy(), 4)
        spatial = made.spatial[i]
        expected.append(by_hand.relu(by_hand.norm(by_hand.conv(moved, spatial.conv, stride), spatial.norm)))
    last = by_hand.over_time(X[..., 24:], made.shift.kernel.numpy(), 4)
    expected.append(by_hand.windows(last, 3, stride).mean(axis=(-1, -2)) if first else last)
    np.testing.assert_allclose(made(X), np.concatenate(expected, axis=-1), rtol=1e-10, atol=1e-10)


def test_only_the_last_part_starts_as_a_shift():
    made = MultipleTemporalAggregation(4, 8, 1, first=False)
    made(X)
    part = tf.constant(X[..., :8], tf.float32)
    for temporal in made.temporal:
        np.testing.assert_array_equal(temporal(part), part)
    np.testing.assert_array_equal(made.shift(part), shift(part, 4, share=2))


# Of Phoenix1327/tea-action-recognition, ops/tea50_8f.py, with 5 classes and the mean over frames; made as
# `transplanted` says.
NAMES = (
    (r"me/reduce/conv/", "me.conv1."),
    (r"me/reduce/norm/", "me.bn1."),
    (r"me/next/", "me.conv2."),
    (r"me/expand/conv/", "me.conv3."),
    (r"me/expand/norm/", "me.bn3."),
    (r"mta/temporal(\d)/", r"shifts.\1.conv."),
    (r"mta/shift/", "shifts.3.conv."),
    (r"mta/spatial(\d)/conv/", r"convs.\1."),
    (r"mta/spatial(\d)/norm/", r"bns.\1."),
    *RESNET,
)
LOGITS = [
    [0.11249806, -0.53994155, 0.37356398, -0.08096304, -0.24697858],
    [0.10685962, -0.5369198, 0.37702996, -0.09447989, -0.24535179],
]


def test_the_logits_of_the_reference(tmp_path):
    told = logits_by_its_file(tmp_path, {"name": "tea"}, NAMES, frames=8)
    np.testing.assert_allclose(told, LOGITS, rtol=0, atol=1e-5)


def res2net(width):
    """Every tensor of a Res2Net-50 26w4s, as its authors and timm call them: its shape."""
    shapes = {}
    for name, shape in resnet(50, 5, width).items():
        place, _, part = name.rpartition(".")
        inner = 4 * (shape[0] * 26 // 64)
        if place.startswith("layer") and place.endswith(("conv2", "bn2")):
            plural = place[:-1] + "s"
            shapes |= {f"{plural}.{i}.{part}": (inner // 4,) * min(2, len(shape)) + shape[2:] for i in range(3)}
        elif place.startswith("layer") and place.endswith(("conv1", "bn1")):
            shapes[name] = (inner, *shape[1:])
        elif place.endswith("conv3"):
            shapes[name] = (shape[0], 4 * (shape[1] * 26 // 64), 1, 1)
        else:
            shapes[name] = shape
    return shapes


def test_weights_of_a_res2net_go_into_its_cascades(tmp_path):
    fields = {"name": "tea", "width": 0.125}
    tensors = drawn(res2net(8))
    made = started(tmp_path, fields, tensors, layer(fields, 5))
    for stage, blocks in enumerate(made.over_clips.network.stages, 1):
        for i, block in enumerate(blocks):
            for k, spatial in enumerate(block.steps[2].spatial):
                weight = tensors[f"layer{stage}.{i}.convs.{k}.weight"]
                np.testing.assert_array_equal(spatial.conv.kernel, weight.transpose(2, 3, 1, 0))
                np.testing.assert_array_equal(spatial.norm.gamma, tensors[f"layer{stage}.{i}.bns.{k}.weight"])


def test_a_network_without_cascades_is_refused():
    with pytest.raises(ValueError, match="res2net50"):
        TrainSpec(backbone={"name": "tea", "network": "resnet18"})
