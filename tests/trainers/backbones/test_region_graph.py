"""`region_graph`: beside the contract RoIAlign, the graphs and their convolutions, and which boxes it takes."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfloom
from tests.trainers.backbones.video_contract import VideoContract, layer, some_clips
from tfloom.data.moving_shapes import write_moving_shapes
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Clip, Dense
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.backbones.region_graph import Graphs
from tfloom.trainers.networks.roi_align import roi_align
from tfloom.trainers.train_spec import TrainSpec


class TestRegionGraph(VideoContract):
    """The authors state no size. Of the network of `i3d` less its last layer, here by hand, maps are reduced to 512;

    two maps make the similarity, of three layers each has a map for each of three graphs, and the normalization of each
    of the two branches; the last layer reads two times 512.
    """

    fields = {"name": "region_graph"}
    units = 174
    parameters = (
        28_043_472 - 400 * 2049 + (2048 * 512 + 512) + 2 * 512**2 + 3 * 3 * 512**2 + 3 * 2 * 2 * 512 + 174 * 1025
    )
    # The last stage has 14 x 14 places in place of 7 x 7, but for its first convolution, which had them before.
    last = 4 * (1024 * 2048 + 3 * 9 * 512**2 + 3 * 512 * 2048 + 2048 * 512 * 4) * (196 - 49) / 1e9
    nodes = 4 * 9
    gmacs = (
        28.40766
        - 400 * 2048 / 1e9
        + last
        + 4 * 196 * 2048 * 512 / 1e9
        + (2 * nodes * 512**2 + nodes**2 * 512 + 9 * (nodes * 512**2 + nodes**2 * 512) + 1024 * 174) / 1e9
    )


def test_roi_align_of_torchvision():
    """That of torchvision 0.29.2, sampling_ratio=2, aligned=True, its boxes in places of the map."""
    maps = np.random.default_rng(0).normal(size=[2, 5, 6, 2]).astype(np.float32)
    boxes = np.float32([[[0, 0, 1, 1], [0.1, 0.25, 0.62, 0.9]], [[0, 0.5, 0.3, 1], [0.44, 0.4, 0.46, 0.45]]])
    expected = np.reshape(ROI, [2, 2, 2, 2, 2])
    np.testing.assert_allclose(roi_align(tf.constant(maps), tf.constant(boxes), 2), expected, rtol=1e-4, atol=1e-5)


ROI = [
    -0.521018,
    -0.115886,
    -0.076356,
    0.383527,
    0.134925,
    0.504867,
    -0.002893,
    0.424128,
    -0.26006,
    0.080291,
    -0.099607,
    0.562138,
    -0.557163,
    0.047866,
    -0.121204,
    0.460426,
    1.171906,
    0.151455,
    0.220119,
    -0.241359,
    0.483199,
    0.740215,
    -0.037779,
    -0.674484,
    -0.674065,
    1.454734,
    -0.662242,
    1.508037,
    -0.680588,
    1.494976,
    -0.668417,
    1.538352,
]


def drawn_boxes(rng):
    """Two clips of 3 frames of 4 boxes, some apart, and one that is none."""
    corner = rng.uniform(0, 0.6, size=[2, 3, 4, 2])
    boxes = np.concatenate([corner, corner + rng.uniform(0.05, 0.4, size=corner.shape)], axis=-1)
    boxes[1, 1, 3] = 0
    return boxes


def test_the_formulas_of_the_graphs(in_float64):
    rng = np.random.default_rng(1)
    x, boxes = rng.normal(size=[2, 3, 4, 8]), drawn_boxes(rng)
    graph = Graphs(8, 2)
    graph(tf.constant(x), tf.constant(boxes))
    for variable in graph.variables:
        variable.assign(rng.normal(size=variable.shape) / 2)
    expected = [by_hand(graph, *one) for one in zip(x, boxes, strict=True)]
    np.testing.assert_allclose(graph(tf.constant(x), tf.constant(boxes)), expected, rtol=1e-10)


def by_hand(graph, x, boxes):
    nodes = [(t, n) for t in range(3) for n in range(4)]
    there = np.array([area(boxes[node]) > 0 for node in nodes])
    similar = np.exp(
        (x.reshape(12, 8) @ value(graph.phi.kernel)) @ (x.reshape(12, 8) @ value(graph.phi_other.kernel)).T
    )
    similar[:, ~there] = 0
    similar /= similar.sum(axis=1, keepdims=True)
    near = []
    for by in (1, -1):
        edges = np.array([[iou(boxes[i], boxes[j]) if j[0] == i[0] + by else 0 for j in nodes] for i in nodes])
        total = edges.sum(axis=1, keepdims=True)
        assert (total == 0).any()
        assert (total > 0).any()
        near.append(edges / np.where(total, total, 1))
    y = z = x.reshape(12, 8)
    for over_similar, over_near in zip(graph.similar, graph.near, strict=True):
        y = normalized(over_similar, similar @ y @ value(over_similar.maps[0].kernel))
        z = normalized(over_near, sum(g @ z @ value(w.kernel) for g, w in zip(near, over_near.maps, strict=True)))
    return (y + z)[there].mean(axis=0)


def value(variable):
    return np.asarray(variable)


def normalized(conv, x):
    x = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + 1e-5)
    return np.maximum(x * value(conv.norm.gamma) + value(conv.norm.beta), 0)


def area(box):
    return max(box[2] - box[0], 0) * max(box[3] - box[1], 0)


def iou(a, b):
    both = area([*np.maximum(a[:2], b[:2]), *np.minimum(a[2:], b[2:])])
    return both / (area(a) + area(b) - both) if both else 0


def test_boxes_are_those_of_their_clip_and_their_order_says_nothing():
    made = layer({"name": "region_graph"} | VideoContract.small)
    boxes = np.random.default_rng(2).uniform(0, 0.5, size=[3, 8, 5, 4]).astype(np.float32)
    boxes[..., 2:] += 0.4

    def told(boxes):
        features = {
            "clip": (Clip(tf.constant(some_clips())),),
            "boxes": (Dense(tf.constant(boxes.reshape(len(boxes), -1))),),
        }
        return made.call(features, training=False).numpy()

    told(boxes)  # makes the variables
    for variable in made.trainable_variables:
        variable.assign(np.random.default_rng(4).normal(size=variable.shape) / np.sqrt(np.prod(variable.shape[:-1])))
    first = told(boxes)
    np.testing.assert_allclose(told(boxes[:, :, ::-1]), first, rtol=1e-4, atol=1e-5)
    other = told(np.concatenate([boxes[:1], boxes[:2]]))
    np.testing.assert_allclose(other[0], first[0], rtol=1e-4, atol=1e-5)
    assert np.abs(other[1:] - first[1:]).max() > 1e-3


CLIP = {"name": "clip", "kind": "video", "frames": 4, "height": 32, "width": 32, "kept_frames": 4}


def parts(clip, numbers):
    columns = [clip, {"name": "box", "kind": "numeric", "shape": [numbers]}]
    spec = {"columns": columns, "labels": [{"name": "y"}], "groups": {"clip": ["clip"], "boxes": ["box"]}}
    return TrainSpec(backbone={"name": "region_graph"}).backbone.parts(FeatureSpec.model_validate(spec))


def test_a_column_of_boxes():
    assert [column.name for column in parts(CLIP, 4 * 3 * 4)["boxes"]] == ["box"]


def test_numbers_that_are_no_boxes_of_the_frames():
    with pytest.raises(SpecError, match=r"(?s)groups\.boxes.*4 frames x boxes x 4.*box: 40 numbers"):
        parts(CLIP, 40)


@pytest.mark.parametrize("change", [{"kept_frames": 8}, {"short_side": 40}, {"test_clips": 2}, {"augmentation": {}}])
def test_frames_that_move_against_their_boxes(change):
    with pytest.raises(SpecError, match=r"(?s)columns\.clip: its frames move.*kept_frames: 4, short_side: left out"):
        parts(CLIP | change, 4 * 3 * 4)


@pytest.mark.slow
def test_what_is_served_is_what_was_trained_boxes_and_all(tmp_path):
    table = pq.read_table(write_moving_shapes(tmp_path, pairs=12, frames=4))
    boxes = np.random.default_rng(0).uniform(0, 0.5, size=[24, 4, 3, 4])
    boxes[..., 2:] += 0.4
    pq.write_table(table.append_column("box", pa.array(boxes.reshape(24, 48).tolist())), tmp_path / "boxes.parquet")
    columns = [CLIP | {"source": "frames", "content": "frames"}, {"name": "box", "kind": "numeric", "shape": [48]}]
    labels = [{"name": "direction", "classes": ["left", "right", "up", "down"]}]
    spec = {"columns": columns, "labels": labels, "groups": {"clip": ["clip"], "boxes": ["box"]}}
    data = str(tmp_path / "boxes.parquet")
    output = tfloom.preprocess(FeatureSpec.model_validate(spec), data, tmp_path / "transformed")
    train_spec = {"backbone": {"name": "region_graph"} | VideoContract.small, "epochs": 1, "batch_size": 8}
    tfloom.export(tfloom.train(output, tmp_path / "model", train_spec), tmp_path / "export")
    verified = tfloom.verify(tmp_path / "export", data)
    assert "predictions: 384 compared, 0 differ" in str(verified)
