"""State dicts of PyTorch's networks in layers of ours: the same logits.

The numbers are those of torchvision 0.29.2 and PyTorch 2.15 on the CPU, for the weights of `drawn_weights` and these
frames; timm 1.0.31 gives the same for the weights by its names. TSM's are of torchvision's ResNet-18, the first
convolution of each block wrapped in TSM's own shift (temporal_shift.py of its repository), the frames' logits averaged.
"""

import logging

import numpy as np
import pytest
import tensorflow as tf
from safetensors.numpy import save_file

from tests.trainers import drawn_weights
from tests.trainers.backbones.video_contract import layer, traced
from tests.trainers.drawn_weights import drawn, mobilenet, resnet
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.trainers import pretrained
from tfloom.trainers.train_spec import TrainSpec, load_train_spec

FRAMES = np.random.default_rng(7).normal(size=[2, 1, 64, 64, 3]).astype(np.float32)
CLIPS = np.random.default_rng(7).normal(size=[2, 4, 64, 64, 3]).astype(np.float32)
RESNET18 = [
    [2.5133213996887207, 1.045942783355713, -1.5062966346740723, -0.22286126017570496, -0.37134644389152527],
    [2.0548999309539795, 1.0809803009033203, -1.3521828651428223, -0.1888543665409088, -0.37198320031166077],
]
RESNET50 = [
    [-0.42108720541000366, 2.2805097103118896, -1.7148499488830566, 2.347214460372925, 0.12231162190437317],
    [-0.3531372547149658, 2.3221120834350586, -1.826845407485962, 2.384800910949707, 0.03668221831321716],
]
MOBILENET = [
    [1.262263298034668, -0.4566737413406372, 2.6275575160980225, 0.6896405220031738, -1.075590968132019],
    [1.4587985277175903, -0.8388005495071411, 2.0214996337890625, 1.4177290201187134, -0.8665931224822998],
]
TSM = [
    [2.1505966186523438, 0.9917885661125183, -1.040884017944336, -0.12187479436397552, -0.4355360269546509],
    [2.157273769378662, 1.0585204362869263, -1.0759994983673096, -0.1452174335718155, -0.3669029772281647],
]
GAIN = (0.5, 1.2)


def small(classes=5):
    return drawn(resnet(18, classes, width=8))


def started(tmp_path, fields, tensors, made=None, frames=1):
    """The layer of a backbone that starts from these tensors."""
    save_file({name: np.ascontiguousarray(one) for name, one in tensors.items()}, tmp_path / "weights.safetensors")
    fields = {"weights": str(tmp_path / "weights.safetensors")} | fields
    if made is None:
        made = layer(fields, 5, frames)
        traced(made, frames, 64)
    TrainSpec(backbone=fields).backbone.read_saved(made)
    return made


@pytest.mark.parametrize(("depth", "expected"), [(18, RESNET18), (50, RESNET50)])
def test_logits_of_resnet(tmp_path, depth, expected):
    made = started(tmp_path, {"name": "tsn", "network": f"resnet{depth}"}, drawn(resnet(depth, 5)))
    np.testing.assert_allclose(traced(made, 1, 64)(tf.constant(FRAMES)), expected, rtol=1e-4, atol=1e-4)


def test_logits_of_mobilenet_by_each_of_its_names(tmp_path):
    tensors, made = drawn(mobilenet(5), GAIN), None
    for named in (tensors, drawn_weights.in_timm(tensors), drawn_weights.in_tsm(tensors)):
        for variable in [] if made is None else made.trainable_variables:
            variable.assign(tf.zeros(variable.shape))
        made = started(tmp_path, {"name": "tsn", "network": "mobilenet_v2"}, named, made)
        logits = made.call({"clip": (Clip(tf.constant(FRAMES)),)})
        np.testing.assert_allclose(logits, MOBILENET, rtol=1e-4, atol=1e-4)


def test_logits_of_tsm(tmp_path):
    tensors = {"module.base_model.bn1.num_batches_tracked": np.array(3)}
    for name, one in drawn(resnet(18, 5)).items():
        name = name.replace(".conv1.", ".conv1.net.")
        tensors[f"module.new_{name}" if name.startswith("fc") else f"module.base_model.{name}"] = one
    made = started(tmp_path, {"name": "tsm", "network": "resnet18"}, tensors, frames=4)
    np.testing.assert_allclose(traced(made, 4, 64)(tf.constant(CLIPS)), TSM, rtol=1e-4, atol=1e-4)


SMALL = {"name": "tsn", "network": "resnet18", "width": 0.125}


@pytest.fixture(scope="module")
def made():
    result = layer(SMALL, 5, 1)
    traced(result, 1, 64)
    return result


def test_a_resnet_by_the_names_of_mmaction2(tmp_path, made):
    tensors = drawn_weights.in_mmaction(small())
    assert {"backbone.layer2.0.downsample.bn.running_var", "cls_head.fc_cls.bias"} < tensors.keys()
    wrapped = {name.replace(".conv1.conv.", ".conv1.conv.net."): one for name, one in tensors.items()}
    for named in (tensors, wrapped):  # the latter as its TSM
        for variable in made.trainable_variables:
            variable.assign(tf.zeros(variable.shape))
        started(tmp_path, SMALL, named, made)
        network = made.over_clips.network
        first = network.stages[1][0].shortcut
        np.testing.assert_array_equal(first.norm.gamma, small()["layer2.0.downsample.1.weight"])
        assert all(np.any(variable) for variable in made.trainable_variables)


@pytest.mark.parametrize("classes", [7, None])
def test_the_last_layer_of_other_classes_starts_anew(tmp_path, caplog, made, classes):
    tensors = {name: one for name, one in small(classes or 1).items() if classes or "fc" not in name}
    network, dense = made.over_clips.network, made.over_clips.consensus.dense
    dense.kernel.assign(tf.ones(dense.kernel.shape))
    started(tmp_path, SMALL, tensors, made)
    (record,) = caplog.records
    assert "over_frames/consensus/dense/kernel, over_frames/consensus/dense/bias, which starts anew" in record.message
    np.testing.assert_array_equal(network.stem.conv.kernel, tensors["conv1.weight"].transpose(2, 3, 1, 0))
    np.testing.assert_array_equal(dense.kernel, np.ones(dense.kernel.shape))


def test_all_there_says_nothing(tmp_path, caplog, made):
    with caplog.at_level(logging.INFO):
        started(tmp_path, SMALL, small(), made)
    assert not caplog.records


def test_what_a_file_lacks_and_has_too_much(tmp_path, made):
    tensors = small()
    tensors["layer3.1.sparkle.weight"] = tensors.pop("layer3.1.conv2.weight")
    with pytest.raises(SpecError, match=r"lacks layer3\.1\.conv2\.weight and has no place here for layer3\.1\.sparkle"):
        started(tmp_path, SMALL, tensors, made)


def test_a_network_of_another_width(tmp_path, made):
    with pytest.raises(SpecError, match=r"(?s)has another shape.*`network`, `width` and frames.*\[16"):
        started(tmp_path, SMALL, drawn(resnet(18, 5, width=16)), made)


def test_another_network(tmp_path, made):
    with pytest.raises(SpecError, match="is of another network"):
        started(tmp_path, SMALL, drawn(mobilenet(5)), made)


def test_a_file_that_is_none(tmp_path):
    (tmp_path / "weights.pth").write_bytes(b"PK")
    for name in ("weights.pth", "absent"):
        with pytest.raises(SpecError, match=r"(?s)cannot be read.*convert_pth"):
            pretrained.read(str(tmp_path / name), None)


def test_other_channels_start_from_the_mean_of_red_green_and_blue():
    kernel = np.random.default_rng(0).normal(size=[4, 3, 7, 7])
    expected = np.stack([kernel.mean(axis=1)] * 10, axis=1).transpose(2, 3, 1, 0)
    np.testing.assert_allclose(pretrained._fitted(kernel, (7, 7, 10, 4), ""), expected, rtol=1e-6)


def test_relative_to_the_train_spec(tmp_path):
    (tmp_path / "train.yaml").write_text("backbone: {name: tsn, weights: here/resnet.safetensors}\n")
    assert load_train_spec(tmp_path / "train.yaml").backbone.weights == str(tmp_path / "here/resnet.safetensors")
