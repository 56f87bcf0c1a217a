"""`tdn`: temporal differences, by hand and beside the reference implementation."""

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from tests.trainers.backbones.by_hand import conv, filled, motion, norm, over_time, relu, sigmoid, windows
from tests.trainers.backbones.transplanted import RESNET, logits_by_its_file
from tests.trainers.backbones.video_contract import VideoContract, layer
from tests.trainers.drawn_weights import drawn, resnet
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.backbones.tdn import LongTerm, ShortTerm, Tdn, resized
from tfloom.trainers.train_spec import TrainSpec

# The reference keeps a convolution of 64 x (7 x 7 x 3 + 1) from which it started another one; nothing reads it.
UNREAD = 9_472


class TestTdn(VideoContract):
    fields = {"name": "tdn"}
    small = {"network": "resnet18", "width": 0.5, "dropout": 0.0}  # a sixteenth of the channels is more than one
    frames = 40  # of 8 segments
    parameters, gmacs = 24_420_046 - UNREAD, 35.64


# From our names to those of ops/tdn_net.py and ops/base_module.py of MCG-NJU/TDN.
NAMES = (
    (r"^over_frames/resnet50/short_term/differences/conv/", "conv1_5.0."),
    (r"^over_frames/resnet50/short_term/differences/norm/", "conv1_5.1."),
    (r"^over_frames/resnet50/short_term/layer1_", "resnext_layer1.layer1_"),
    (r"long_term/squeeze/conv/", "mse.conv1."),
    (r"long_term/squeeze/norm/", "mse.bn1."),
    (r"long_term/filter/", "mse.conv2."),
    (r"long_term/coarse/conv/", "mse.conv3_smallscale2."),
    (r"long_term/coarse/norm/", "mse.bn3_smallscale2."),
    (r"long_term/fine/conv/", "mse.conv3_smallscale4."),
    (r"long_term/fine/norm/", "mse.bn3_smallscale4."),
    (r"long_term/expand/conv/", "mse.conv3."),
    (r"long_term/expand/norm/", "mse.bn3."),
    (r"long_term/shift/", "shift.conv."),
    *RESNET,
    (r"^layer(\d)", r"layer\1_bak"),
    (r"^resnext_layer1\.layer1\.", "resnext_layer1."),
)


def test_logits_are_those_of_the_reference(tmp_path):
    """Its TDN_Net of 8 segments, and the mean of their scores; a segment's five frames are its 15 channels."""
    expected = [
        [0.08790867, -0.27281773, 0.63610023, -0.08032751, -0.23282854],
        [0.09105015, -0.26969403, 0.63225859, -0.08967555, -0.25030366],
    ]
    unread = ("conv1_temp.weight", "conv1_temp.bias")
    told = logits_by_its_file(tmp_path, {"name": "tdn"}, NAMES, 40, unread)
    np.testing.assert_allclose(told, expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize(("segments", "share"), [(4, 0.75), (8, 0.5), (16, 0.75)])
def test_the_share_of_a_frame_beside_its_differences(segments, share):
    backbone = Tdn(network="resnet18", width=0.125)
    assert backbone.net(backbone.modules(segments)).share == share


def test_long_term_differences():
    """L-TDM, section 3.3 of the paper, and the shift after it."""
    x = np.random.default_rng(0).normal(size=[6, 4, 6, 32])
    made = filled(lambda: LongTerm(3, 32), x.shape)
    told = made(tf.constant(x))

    here = normed(x, made.squeeze)
    forward = motion(here, made.filter, 3)
    backward = motion(here[::-1], made.filter, 3)[::-1]  # what the next one is to a clip that is played backwards

    def mask(change, fine):
        coarse = normed(change.reshape(6, 2, 2, 3, 2, 2).mean(axis=(2, 4)), made.coarse)
        seen = (change + coarse.repeat(2, axis=1).repeat(2, axis=2) + fine) / 3
        return sigmoid(normed(seen, made.expand)) - 0.5

    fine = normed(forward, made.fine)
    excited = x + x * (mask(forward, fine) + mask(backward, normed(fine, made.fine))) / 2
    expected = over_time(excited, made.shift.kernel.numpy(), 3)
    np.testing.assert_allclose(told, expected, rtol=1e-10, atol=1e-10)


def normed(x, layer):
    """A convolution and its normalization."""
    return norm(conv(x, layer.conv), layer.norm)


def test_short_term_differences():
    """S-TDM: the convolution sees the four differences in their order, each red, green and blue, at half their size."""
    x = np.random.default_rng(0).normal(size=[2, 5, 16, 16, 3])
    made = filled(lambda: ShortTerm(8, []), x.shape)
    early, late = made(tf.constant(x))
    changes = np.concatenate([x[:, i + 1] - x[:, i] for i in range(4)], axis=-1)
    halved = changes.reshape(2, 8, 2, 8, 2, 12).mean(axis=(2, 4))
    seen = relu(norm(conv(halved, made.conv.conv, stride=2), made.conv.norm))
    expected = windows(seen, 3, 2).max(axis=(-1, -2))
    np.testing.assert_allclose(early, expected, rtol=1e-10, atol=1e-10)
    np.testing.assert_array_equal(late, early)  # without a stage of its own


def test_it_starts_from_the_weights_of_a_resnet(tmp_path):
    """As the reference: differences by the first convolution's mean over colours and by a copy of the first stage."""
    tensors = drawn(resnet(18, 5, width=8))
    save_file(tensors, tmp_path / "resnet18.safetensors")
    fields = {"name": "tdn", "network": "resnet18", "width": 0.125}
    made = layer(fields, 5, frames=10)
    before = {one.path.removeprefix("over_frames/resnet18/"): one.numpy() for one in made.variables}
    TrainSpec(backbone=fields | {"weights": str(tmp_path / "resnet18.safetensors")}).backbone.read_saved(made)
    after = {one.path.removeprefix("over_frames/resnet18/"): one.numpy() for one in made.variables}

    first = np.moveaxis(tensors["conv1.weight"], (0, 1), (-1, -2))
    np.testing.assert_array_equal(after["stem/conv/kernel"], first)
    expected = np.repeat(first.mean(axis=2, keepdims=True), 12, axis=2)
    np.testing.assert_array_equal(after["short_term/differences/conv/kernel"], expected)
    np.testing.assert_array_equal(after["layer1_1/conv2/norm/moving_mean"], tensors["layer1.1.bn2.running_mean"])
    copied = {name: one for name, one in after.items() if name.startswith("short_term/layer1")}
    assert len(copied) == 24
    for name, one in copied.items():
        np.testing.assert_array_equal(one, after[name.removeprefix("short_term/")], err_msg=name)
    started_anew = {name for name, one in after.items() if np.array_equal(one, before[name])}
    told = ("conv/bias", "short_term/differences/norm", "long_term", "seed_generator")
    assert all(any(part in name for part in told) for name in started_anew)
    assert not any(one.any() for name, one in after.items() if name.endswith("conv/bias"))


@pytest.mark.parametrize(("low", "high"), [(3, 7), (2, 4), (1, 1), (5, 11)])
def test_resized(low, high):
    x = np.arange(low * low * 2.0).reshape(1, low, low, 2)
    rows = np.arange(high) * low // high
    np.testing.assert_array_equal(resized(tf.constant(x), tf.zeros([1, high, high, 9])), x[:, rows][:, :, rows])


def test_a_clip_of_whole_segments():
    columns = [{"name": "clip", "kind": "video", "source": "path", "frames": 8, "height": 32, "width": 32}]
    spec = FeatureSpec.model_validate({"version": 1, "columns": columns, "labels": [{"name": "late"}]})
    with pytest.raises(SpecError) as raised:
        Tdn().parts(spec)
    assert raised.value.what == "columns.clip.frames: the backbone tdn takes 5 frames together"
    assert (raised.value.expected, raised.value.received) == ("a multiple of 5", "8")
