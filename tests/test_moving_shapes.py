"""Clips that only the order of their frames tells apart: what the data says, and which backbones learn it."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfloom
from tfloom.data.moving_shapes import DIRECTIONS, OPPOSITE, moving_shapes, write_moving_shapes
from tfloom.trainers.train import load
from tfloom.trainers.train_spec import load_train_spec

EXAMPLES = Path(__file__).parents[1] / "examples"
NAMES = list(DIRECTIONS)


def test_a_clip_and_its_reversal():
    clips, labels = moving_shapes(20, frames=5, size=24, seed=3)
    assert clips.shape == (40, 5, 24, 24, 3)
    assert clips.dtype == np.uint8
    np.testing.assert_array_equal(clips[1::2], clips[::2, ::-1])
    assert [OPPOSITE[label] for label in labels[::2]] == labels[1::2]
    assert set(labels) == set(DIRECTIONS)
    again, same = moving_shapes(20, frames=5, size=24, seed=3)
    assert np.array_equal(clips, again)
    assert labels == same
    assert not np.array_equal(clips, moving_shapes(20, frames=5, size=24, seed=4)[0])


def test_the_shape_moves_as_the_label_says():
    """On a torus: some shift by 2 to 4 pixels that way brings the shape of a frame to that of the next."""
    clips, labels = moving_shapes(10, frames=3, size=24)
    for clip, label in zip(clips, labels, strict=True):
        shape = clip.max(axis=-1) >= 128  # the background is darker
        moved = [[np.roll(shape[0], np.array(way) * n, (0, 1)) for n in (2, 3, 4)] for way in DIRECTIONS.values()]
        fits = [any(np.array_equal(one, shape[1]) for one in tries) for tries in moved]
        assert [name for name, fit in zip(NAMES, fits, strict=True) if fit] == [label]


def trained(folder, name, pairs, changes, frames=8):
    """The network of examples/moving_shapes_tsm.yaml with another backbone, and the rows that it has not seen."""
    data = write_moving_shapes(folder, pairs, frames)
    spec = tfloom.load_spec(EXAMPLES / "moving_shapes.yaml")
    spec = spec.model_copy(update={"columns": (spec.columns[0].model_copy(update={"frames": frames}),)})
    output = tfloom.preprocess(spec, data, folder / "transformed")
    train_spec = load_train_spec(EXAMPLES / "moving_shapes_tsm.yaml", {"backbone.name": name} | changes)
    network, _ = load(tfloom.train(output, folder / "model", train_spec))
    rows = pq.read_table(data)
    test = spec.split.assign(rows.select(["pair"]).combine_chunks().to_batches()[0]) == 2
    rows = rows.filter(test)
    run = tf.function(
        lambda clips: network({"clip": clips}), input_signature=[tf.TensorSpec([None, frames], tf.string)]
    )
    logits = np.concatenate([run(part) for part in np.array_split(np.array(rows["frames"].to_pylist()), 4)])
    return logits, np.array([NAMES.index(label) for label in rows["direction"].to_pylist()])


def test_without_order_half_of_the_right_axis_is_right(tmp_path):
    logits, labels = trained(tmp_path, "tsn", 60, {"epochs": "1"})
    np.testing.assert_allclose(logits[::2], logits[1::2], rtol=1e-5, atol=1e-5)
    told = logits[::2].argmax(axis=1)  # of a clip and of its reversal, which agree to rounding
    told = np.repeat(told, 2)
    right_axis = told // 2 == labels // 2
    assert right_axis.any()
    assert 2 * np.sum(told == labels) == np.sum(right_axis)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("tsm", {}),
        ("trn", {"learning_rate": "0.002"}),
        ("stm", {}),
        ("tea", {"backbone.network": "res2net50", "epochs": "12"}),
        ("tam", {"epochs": "25", "learning_rate": "0.01"}),
        ("action", {}),
        ("tdn", {}),
    ],
)
def test_with_order_a_backbone_learns_it(tmp_path, name, changes):
    pairs = 2400 if name == "trn" else 800  # of which it learns fewer by heart
    logits, labels = trained(tmp_path, name, pairs, changes, frames=20 if name == "tdn" else 8)
    assert np.mean(logits.argmax(axis=1) == labels) >= 0.95
