"""`i3d`: beside the contract PyTorchVideo's outputs, the non-local formula, and a still clip beside its picture.

Sizes of the plain network are those of PyTorchVideo's i3d_r50, counted by fvcore but for normalization. A non-local
block of C channels has theta, phi and g to C / 2, and out back, each with a bias, and 2 C of normalization: 526,592 of
them for 512 and 2,101,760 for 1,024 channels; the paper has two and three. mmaction2 calls that network 35.4 M.
"""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones.transplanted import RESNET, clips, transplant
from tests.trainers.backbones.video_contract import VideoContract, layer, traced
from tests.trainers.drawn_weights import drawn, resnet
from tfloom.trainers import pretrained
from tfloom.trainers.networks.inflated_resnet import InflatedResNet
from tfloom.trainers.networks.modules import Modules
from tfloom.trainers.networks.non_local import NonLocal
from tfloom.trainers.networks.resnet import ResNet
from tfloom.trainers.train_spec import TrainSpec

FIVE = ["layer2.1", "layer2.3", "layer3.1", "layer3.3", "layer3.5"]


class TestI3d(VideoContract):
    fields = {"name": "i3d"}
    units, parameters, gmacs = 400, 28_043_472, 28.4077


class TestNonLocal(VideoContract):
    fields = {"name": "i3d", "non_local": FIVE}
    small = VideoContract.small | {"non_local": ["layer2.1", "layer3.0"]}
    units, parameters = 400, 28_043_472 + 2 * 526_592 + 3 * 2_101_760
    gmacs = (
        28.4077
        + (
            2 * (784 * 4 * (512 * 256 * 2 + 256 * 784 * 2) + 784 * 512 * 256 * 2)
            + 3 * (196 * 4 * (1024 * 512 * 2 + 512 * 196 * 2) + 196 * 1024 * 512 * 2)
        )
        / 1e9
    )  # 4 frames; theta and out of every place, phi and g of a fourth of them, and a product of each with those


def test_outputs_of_pytorchvideo():
    """`create_resnet` of PyTorchVideo 0.1.5, the fields of i3d_r50 but stem_dim_out=8, over maps of 4 x 2 x 2."""
    made = layer({"name": "i3d", "width": 0.125, "dropout": 0.0}, 5)
    traced(made, 8, 64)
    transplant(made, ((r"^over_clips/(inflated_resnet\d+/)?", ""), *RESNET))
    expected = [
        [0.2856076955795288, 0.3898712992668152, 0.24156224727630615, 0.03143150359392166, 0.03956740349531174],
        [0.28594833612442017, 0.39140743017196655, 0.2554067075252533, 0.03617285192012787, 0.042214974761009216],
    ]
    np.testing.assert_allclose(traced(made, 8, 64)(tf.constant(clips(8, 64))), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("affinity", ["embedded_gaussian", "dot_product"])
def test_the_non_local_formula(affinity, in_float64):
    rng = np.random.default_rng(0)
    x = rng.normal(size=[2, 3, 4, 6, 8])
    block = NonLocal(8, affinity, "block")
    block(tf.constant(x))
    for variable in block.variables:
        variable.assign(rng.uniform(0.5, 1.5, variable.shape))
    linear = lambda part, v: v @ np.asarray(part.kernel) + np.asarray(part.bias)
    pooled = x.reshape(2, 3, 2, 2, 3, 2, 8).max(axis=(3, 5)).reshape(2, -1, 8)
    theta, phi, g = linear(block.theta, x.reshape(2, -1, 8)), linear(block.phi, pooled), linear(block.g, pooled)
    f = np.einsum("bid,bjd->bij", theta, phi)
    if affinity == "embedded_gaussian":
        f = np.exp(f / 2)
        f /= f.sum(axis=2, keepdims=True)
    else:
        f /= pooled.shape[1]
    w = linear(block.out, np.einsum("bij,bjd->bid", f, g))
    norm = [
        np.asarray(v) for v in (block.norm.gamma, block.norm.beta, block.norm.moving_mean, block.norm.moving_variance)
    ]
    z = x + (norm[0] * (w - norm[2]) / np.sqrt(norm[3] + 1e-5) + norm[1]).reshape(x.shape)
    np.testing.assert_allclose(block(tf.constant(x)), z, rtol=1e-10)


def test_a_non_local_block_starts_as_nothing():
    x = np.random.default_rng(0).normal(size=[1, 2, 4, 4, 8]).astype(np.float32)
    np.testing.assert_array_equal(NonLocal(8, "dot_product", "block")(tf.constant(x)), x)


def test_a_still_clip_gives_what_its_picture_gives_away_from_the_ends(tmp_path):
    """17 frames to each side reach the middle: 2 by the stem, 3 by the first stage, and of half as many 6."""
    from safetensors.numpy import save_file

    flat = ResNet(18, 8, Modules(1))
    inflated = InflatedResNet(18, 8, lambda *_: None)
    picture = np.random.default_rng(3).normal(size=[1, 32, 32, 3]).astype(np.float32)
    still = tf.constant(np.repeat(picture[:, None], 40, axis=1))
    flat(tf.constant(picture)), inflated(still)
    tensors = {name: one for name, one in drawn(resnet(18, 5, width=8)).items() if "fc" not in name}
    save_file(tensors, tmp_path / "weights")
    for one in (flat, inflated):
        pretrained.read(str(tmp_path / "weights"), one)
    expected, told = flat(tf.constant(picture)).numpy(), inflated(still).numpy()
    np.testing.assert_allclose(told[:, 10], expected, rtol=1e-4, atol=1e-4)
    assert np.abs(told[:, 0] - expected).max() > 1e-2


def test_a_block_that_is_not_there():
    with pytest.raises(ValueError, match=r"(?s)non_local.*expected.*layer1\.1, layer2\.1, layer3\.1, layer4\.1"):
        TrainSpec(backbone={"name": "i3d", "network": "resnet18", "non_local": ["layer2.2"]})
