"""Clips in, outputs out: what every backbone over clips has to keep, beside its size as published."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones.contract import without_gradient
from tfloom.feature_specs.features import Clip
from tfloom.trainers.macs import macs
from tfloom.trainers.network import precision
from tfloom.trainers.train_spec import TrainSpec

PAGE = Path(__file__).parents[3] / "docs/video_backbones.md"
FRAMES, SIZE = 8, 32


def layer(fields: dict[str, Any], units: int = 2, frames: int = FRAMES) -> keras.Layer:
    """The layer of a backbone over a column of clips, with its variables."""
    column = SimpleNamespace(name="clip", frames=frames)
    backbone: Any = TrainSpec(backbone=fields).backbone
    made: keras.Layer = backbone.layer({"clip": (column,), "flow": (column,)}, {}, units)
    # In a graph it would make them ten times slower.
    made.call(seen(tf.zeros([1, frames, SIZE, SIZE, 3])))
    return made


def seen(values: Any, views: int = 1) -> dict[str, Any]:
    """What a layer is called with: where there are two streams both see the same."""
    return dict.fromkeys(("clip", "flow"), (Clip(values, views),))


def traced(
    made: keras.Layer, frames: int = FRAMES, size: int = SIZE, training: bool = False, batch: int | None = None
) -> Any:
    """As a graph for clips of RGB frames."""
    function = tf.function(lambda values: made.call(seen(values), training=training))
    return function.get_concrete_function(tf.TensorSpec([batch, frames, size, size, 3]))


def some_clips(frames: int = FRAMES) -> np.ndarray:
    """Three, one darker and one lighter than the other."""
    noise = np.random.default_rng(0).normal(size=[3, frames, SIZE, SIZE, 3])
    return np.float32(noise + np.array([-1, 0, 1])[:, None, None, None, None])


class VideoContract:
    """A backbone over clips says how large it is, and minds the order of frames or does not.

    fields: of the train spec, for the network of its paper. small: those changed for a network that runs in a moment.
    parameters, gmacs: of `units` classes for `frames` x 224 x 224 x 3, as the reference implementation has them.
    """

    fields: ClassVar[dict[str, Any]]
    small: ClassVar[dict[str, Any]] = {"network": "resnet18", "width": 0.125, "dropout": 0.0}
    parameters: ClassVar[int]
    gmacs: ClassVar[float]
    units: ClassVar[int] = 174
    frames: ClassVar[int] = FRAMES
    minds_order: ClassVar[bool] = True

    def test_its_size_is_that_of_the_reference(self):
        made = layer(self.fields, self.units, self.frames)
        function = traced(made, self.frames, 224, batch=1)
        assert sum(int(np.prod(v.shape)) for v in made.trainable_variables) == self.parameters
        assert macs(function) / 1e9 == pytest.approx(self.gmacs, rel=1e-3)

    def test_the_page_has_its_section_and_its_size(self):
        fields = ", ".join(f"{field}: {value}" for field, value in self.fields.items() if field != "name")
        what = ", ".join(filter(None, [self.fields["name"], fields]))
        lines = PAGE.read_text().splitlines()
        assert f"## {self.fields['name']}" in lines
        assert f"| `{what}` | {self.units} | {self.parameters:,} | {self.gmacs:.2f} |" in lines

    @pytest.fixture(scope="class")
    def filled(self):
        """A small one with weights and statistics drawn, none of which is at a place where it would say nothing."""
        keras.utils.set_random_seed(1)
        made = layer(self.fields | self.small, frames=self.frames)
        rng = np.random.default_rng(5)
        for variable in made.variables:
            if len(variable.shape) < 2 and "seed" not in variable.path:
                variable.assign(rng.uniform(0.5, 1.5, variable.shape))
            elif "kernel" in variable.path:
                *spatial, inputs, outputs = variable.shape
                fan_in = np.prod(spatial) * (inputs if outputs > 1 else 1)  # depthwise: an output of each input
                variable.assign(rng.normal(size=variable.shape) / np.sqrt(fan_in))
        return made

    @pytest.fixture(scope="class")
    def run(self, filled):
        return traced(filled, self.frames)

    @pytest.fixture(scope="class")
    def clips(self):
        return some_clips(self.frames)

    def test_an_output_for_every_unit(self, run, clips):
        assert run(tf.constant(clips)).shape == (3, 2)

    def test_a_clip_does_not_depend_on_its_batch(self, run, clips):
        alone = np.concatenate([run(tf.constant(clips[i : i + 1])) for i in range(3)])
        np.testing.assert_allclose(alone, run(tf.constant(clips)), rtol=1e-4, atol=1e-5)
        assert np.ptp(alone, axis=0).min() > 1e-3

    def test_the_order_of_frames(self, run, clips):
        there, back = (run(tf.constant(np.ascontiguousarray(one))).numpy() for one in (clips, clips[:, ::-1]))
        if self.minds_order:
            assert np.abs(there - back).max() > 1e-3
        else:
            np.testing.assert_allclose(there, back, rtol=1e-5, atol=1e-5)

    def test_the_views_of_a_row_are_averaged(self, filled, clips):
        views = np.concatenate([clips, clips[::-1]])
        told = filled.call(seen(tf.constant(views), views=2), training=False)
        alone = filled.call(seen(tf.constant(views)), training=False).numpy()
        np.testing.assert_allclose(told, alone.reshape(3, 2, 2).mean(axis=1), rtol=1e-4, atol=1e-5)

    def test_in_mixed_precision_it_gives_about_the_same(self, filled, run, clips):
        with precision("mixed_bfloat16"):
            mixed = layer(self.fields | self.small, frames=self.frames)
        assert {v.dtype for v in mixed.trainable_variables} == {"float32"}
        for one, other in zip(mixed.variables, filled.variables, strict=True):
            one.assign(other)
        expected = run(tf.constant(clips)).numpy()
        told = tf.cast(traced(mixed, self.frames)(tf.constant(clips)), tf.float32)
        np.testing.assert_allclose(told, expected, atol=0.1 * np.abs(expected).max())

    def test_gradients_reach_every_variable(self, filled, clips):
        weights = tf.constant(np.random.default_rng(2).normal(size=[3, 2]).astype(np.float32))
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(weights * filled.call(seen(tf.constant(clips)), training=True))
        assert without_gradient(tape, total, filled.trainable_variables) == []
