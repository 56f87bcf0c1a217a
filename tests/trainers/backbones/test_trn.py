"""`trn`: its relations by hand, the reference's logits, and the contract."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones import by_hand
from tests.trainers.backbones.transplanted import RESNET, clips, logits_by_its_file, state
from tests.trainers.backbones.video_contract import VideoContract, layer
from tests.trainers.drawn_weights import drawn, resnet
from tests.trainers.test_pretrained import started
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip
from tfloom.trainers.backbones.trn import Relations, Scale
from tfloom.trainers.train_spec import TrainSpec


class TestTrn(VideoContract):
    """The reference has 2,608,578 parameters in its relations; in the network it reads, and the features of a frame, as
    many as a ResNet-50 without its last layer, and 2048 x 256 + 256."""

    fields = {"name": "trn"}
    parameters, gmacs = 23_508_032 + 524_544 + 2_608_578, 32.71

    def test_the_head_by_itself(self):
        made = layer({"name": "trn", "network": "resnet18"}, 174)
        sizes = [np.prod(v.shape) for v in made.trainable_variables if "consensus/scale" in v.path]
        assert sum(sizes) == 2_608_578


X = np.random.default_rng(0).normal(size=[2, 4, 12])


@pytest.mark.parametrize("which", ["some", "all"])
def test_by_hand(which):
    made = by_hand.filled(lambda: Relations(4, 0.0, 3, "some", which), X.shape)
    features = by_hand.relu(X @ made.features.kernel.numpy() + made.features.bias.numpy())
    served = {4: [(0, 1, 2, 3)], 3: [(0, 1, 2), (0, 2, 3), (1, 2, 3)], 2: [(0, 2), (1, 2), (2, 3)]}
    expected = np.zeros([2, 3])
    for scale, size in zip(made.scales, (4, 3, 2), strict=True):
        relations = list(combinations(range(4), size)) if which == "all" else served[size]
        for relation in relations:
            given = np.concatenate([features[:, t] for t in relation], axis=-1)
            hidden = by_hand.relu(given @ scale.hidden.kernel.numpy() + scale.hidden.bias.numpy())
            said = hidden @ scale.dense.kernel.numpy() + scale.dense.bias.numpy()
            expected += said * min(3, len(relations)) / len(relations)
    np.testing.assert_allclose(made(X), expected, rtol=1e-10, atol=1e-10)


def test_how_many_relations_there_are():
    some, every = (Relations(8, 0.0, 2, "some", which).scales for which in ("some", "all"))
    assert sum(len(scale.chosen(training=False)) for scale in some) == 19
    assert sum(len(scale.chosen(training=False)) for scale in every) == 247


def test_in_training_others_are_drawn_in_every_step():
    scale = Scale(8, 3, 2, "some", "some")
    drawn = [np.array(scale.chosen(training=True)).tolist() for _ in range(40)]
    for relations in drawn:
        assert len({tuple(one) for one in relations}) == 3
        assert all(one == sorted(set(one)) for one in relations)
    assert len({tuple(one) for relations in drawn for one in relations}) > 40


def test_a_resumed_run_draws_what_would_have_been_drawn():
    scale = Scale(8, 3, 2, "some", "some")
    (seeds,) = scale.variables
    state = seeds.numpy()
    drawn = np.array(scale.chosen(training=True))
    assert np.any(drawn != scale.chosen(training=True))
    seeds.assign(state)
    np.testing.assert_array_equal(scale.chosen(training=True), drawn)


def test_all_in_training_leave_nothing_to_chance():
    made = layer({"name": "trn", "network": "resnet18", "width": 0.125, "dropout": 0.0, "train_relations": "all"})
    values = tf.constant(clips(8, 32))
    first, second = (made.call({"clip": (Clip(values),)}, training=True) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not [v for v in made.variables if "seed" in v.path]


@pytest.mark.parametrize("frames", [1, 17])
def test_too_few_frames_and_too_many(frames):
    column = SimpleNamespace(name="clip", kind="video", frames=frames, feature_type=lambda: Clip)
    spec = SimpleNamespace(model_groups={"clip": (column,)}, categorical=())
    backbone = TrainSpec(backbone={"name": "trn"}).backbone
    with pytest.raises(SpecError, match=f"(?s)columns.clip.frames.*2 to 16.*{frames}"):
        backbone.parts(spec)


# Of zhoubolei/TRN-pytorch, RelationModuleMultiScale over torchvision's ResNet-18 and a layer of 256 features, with 5
# classes and in each scale the relations that we serve in place of random ones; made as `transplanted` says.
NAMES = (
    (r"^(over_frames/)?(resnet\d+/)?(?=stem|layer)", "base_model."),
    (r"consensus/scale(\d)/", r"consensus.fc_fusion_scales.\1."),
    (r"consensus/features/", "new_fc."),
    (r"\.hidden/", ".1."),
    (r"(?<=\d)\.dense/", ".3."),
    *RESNET,
)
LOGITS = [
    [-1.5791093, 0.27223694, 3.2227418, -1.3289466, 1.2408932],
    [-1.364322, 0.08881787, 2.7373028, -1.5835701, 0.94905525],
]


def test_the_logits_of_the_reference(tmp_path):
    told = logits_by_its_file(tmp_path, {"name": "trn", "network": "resnet18"}, NAMES, frames=8)
    np.testing.assert_allclose(told, LOGITS, rtol=0, atol=1e-5)


def test_of_other_classes_all_but_the_last_layers_is_read(tmp_path):
    fields = {"name": "trn", "network": "resnet18", "width": 0.125}
    tensors = state(layer(fields, 7, 4), NAMES)
    made = layer(fields, 5, 4)
    last = [scale.dense.kernel.numpy() for scale in made.over_clips.consensus.scales]
    started(tmp_path, fields, tensors, made)
    relations = made.over_clips.consensus
    np.testing.assert_array_equal(relations.features.kernel, tensors["module.new_fc.weight"].T)
    for i, scale in enumerate(relations.scales):
        hidden = tensors[f"module.consensus.fc_fusion_scales.{i}.1.weight"]
        np.testing.assert_array_equal(scale.hidden.kernel, hidden.T)
        np.testing.assert_array_equal(scale.dense.kernel, last[i])


def test_a_resnet_leaves_its_relations_as_they_started(tmp_path):
    fields = {"name": "trn", "network": "resnet18", "width": 0.125}
    made = layer(fields, 5, 4)
    features = made.over_clips.consensus.features.kernel.numpy()
    tensors = drawn(resnet(18, 1000, width=8))
    started(tmp_path, fields, tensors, made)
    np.testing.assert_array_equal(made.over_clips.consensus.features.kernel, features)
    first = np.moveaxis(tensors["conv1.weight"], (0, 1), (-1, -2))
    np.testing.assert_array_equal(made.over_clips.network.stem.conv.kernel, first)
