"""Materialised columns in, outputs out: what every backbone has to keep."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.network import Network, build
from tfloom.trainers.train_spec import TrainSpec

COLUMNS = {
    "x": {"kind": "numeric"},
    "z": {"kind": "numeric"},
    "town": {"kind": "identity", "buckets": 4},
    "tags": {"kind": "hashed", "buckets": 5},
    "town_vec": {"kind": "embedded", "of": "town", "dimension": 2},
    "photo": {"kind": "image", "height": 4, "width": 6, "scale": "none"},
    "grey": {"kind": "image", "height": 4, "width": 6, "channels": 1, "scale": "none"},
    "big": {"kind": "image", "height": 8, "width": 6},
}
LABELS = ({"name": "late", "source": "delay", "above": 15}, {"name": "size", "classes": 3})
PICTURES = np.random.default_rng(0).integers(0, 256, [3, 4, 6, 3]).astype(np.uint8)
ROWS: dict[str, Any] = {
    "x": np.float32([[1.0], [-2.0], [0.5]]),
    "z": np.float32([[0.0], [3.0], [0.25]]),
    "town": np.array([[2], [-1], [0]], np.int64),
    "tags": np.array([[4, 1, 4], [-1, -1, -1], [3, -1, -1]], np.int64),
    "photo": np.array([tf.io.encode_png(one).numpy() for one in PICTURES], object),
    "grey": np.array([tf.io.encode_png(one[:, :, :1]).numpy() for one in PICTURES], object),
}
"""Three rows, the second without a known id."""


def spec_of(groups: Mapping[str, list[str]]) -> FeatureSpec:
    """The columns that the groups name, and what these are made of."""
    used = {name for members in groups.values() for name in members}
    used |= {COLUMNS[name]["of"] for name in used if "of" in COLUMNS[name]}
    columns = [{"name": name} | fields for name, fields in COLUMNS.items() if name in used]
    return FeatureSpec.model_validate({"columns": columns, "labels": LABELS, "groups": dict(groups)})


def without_gradient(tape: tf.GradientTape, total: tf.Tensor, variables: list[Any]) -> list[str]:
    """The paths of those that a total does not depend on."""
    gradients = tape.gradient(total, [variable.value for variable in variables])
    return [
        variable.path
        for variable, gradient in zip(variables, gradients, strict=True)
        if gradient is None or not np.any(tf.convert_to_tensor(gradient))
    ]


class BackboneContract:
    """A backbone says what it reads and which variables it has.

    fields: of the train spec. groups: that it reads. variables: shapes of all that it trains, for one output.
    refused: groups that it cannot read, with what the error says of them, and what was received.
    """

    fields: ClassVar[dict[str, Any]]
    groups: ClassVar[dict[str, list[str]]]
    variables: ClassVar[list[tuple[int, ...]]]
    refused: ClassVar[list[tuple[dict[str, list[str]], str, str]]]

    def network(self, label: str = "late", seed: int = 3, **fields: Any) -> Network:
        """As it starts."""
        spec = spec_of(self.groups)
        network, _ = build(
            spec, {"town": 4, "tags": 5}, TrainSpec(label=label, seed=seed, backbone=self.fields | fields)
        )
        return network

    def filled(self, **fields: Any) -> Network:
        """With other weights than 0 everywhere, the same for the same variables."""
        network, rng = self.network(**fields), np.random.default_rng(5)
        for variable in network.trainable_variables:
            variable.assign(rng.uniform(0.1, 1.0, variable.shape))
        return network

    def rows(self) -> dict[str, tf.Tensor]:
        return {name: tf.constant(ROWS[name]) for name in (one.name for one in spec_of(self.groups).model_inputs)}

    @pytest.mark.parametrize(("label", "units"), [("late", 1), ("size", 3)])
    def test_an_output_for_every_unit_of_the_head(self, label, units):
        outputs = self.network(label)(self.rows())
        assert outputs.dtype == tf.float32
        assert outputs.shape == (3, units)

    def test_its_variables(self):
        shapes = [tuple(variable.shape) for variable in self.network().trainable_variables]
        assert sorted(shapes) == sorted(self.variables)

    def test_gradients_reach_every_variable(self):
        network = self.filled()
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(network(self.rows(), training=True) ** 2)
        assert without_gradient(tape, total, network.trainable_variables) == []

    def test_a_row_does_not_depend_on_its_batch(self):
        network, rows = self.filled(), self.rows()
        alone = [network({name: value[i : i + 1] for name, value in rows.items()}) for i in range(3)]
        np.testing.assert_allclose(tf.concat(alone, axis=0), network(rows), rtol=1e-6)

    def test_padding_contributes_nothing(self):
        network, rows = self.filled(), self.rows()
        padded = {
            name: tf.pad(value, [[0, 0], [0, 4]], constant_values=-1) if value.dtype == tf.int64 else value
            for name, value in rows.items()
        }
        np.testing.assert_array_equal(network(padded), network(rows))

    def test_it_starts_from_the_seed(self):
        first, same, other = (self.network(seed=seed).get_weights() for seed in (3, 3, 4))
        assert [np.array_equal(a, b) for a, b in zip(first, same, strict=True)] == [True] * len(first)
        drawn = [np.unique(value).size > 1 and value.dtype == np.float32 for value in first]
        assert [not np.array_equal(a, b) for a, b, d in zip(first, other, drawn, strict=True) if d] == [True] * sum(
            drawn
        )

    def test_dropout_is_only_in_training(self):
        if "dropout" not in self.fields:
            return
        network, rows = self.filled(dropout=0.5), self.rows()
        np.testing.assert_array_equal(network(rows, training=False), self.filled(dropout=0.0)(rows, training=False))
        trained = [network(rows, training=True).numpy() for _ in range(8)]
        assert len({one.tobytes() for one in trained}) > 1

    def test_in_mixed_precision_it_gives_about_the_same(self):
        spec = spec_of(self.groups)
        train_spec = TrainSpec(label="late", seed=3, backbone=self.fields, mixed_precision=True)
        mixed, _ = build(spec, {"town": 4, "tags": 5}, train_spec, training=True)
        full = self.network()
        assert {v.dtype for v in mixed.trainable_variables} == {"float32"}
        for one, other in zip(mixed.variables, full.variables, strict=True):
            one.assign(other)
        told, expected = mixed(self.rows()), full(self.rows())
        assert told.dtype == tf.float32
        np.testing.assert_allclose(told, expected, rtol=0.05, atol=0.05 * np.abs(expected).max())

    def test_columns_that_it_cannot_read_are_refused(self):
        for groups, what, received in self.refused:
            with pytest.raises(SpecError) as error:
                TrainSpec(backbone=self.fields).backbone_for(spec_of(groups)).parts(spec_of(groups))
            assert error.value.what == what
            assert error.value.received == received
            assert error.value.expected
