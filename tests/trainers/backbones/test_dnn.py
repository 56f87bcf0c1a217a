"""`dnn`: beside the contract, its layers by hand."""

import numpy as np
import pytest

from tests.trainers.backbones.contract import ROWS, BackboneContract


class TestDnn(BackboneContract):
    fields = {"name": "dnn", "hidden": [6, 3], "dropout": 0.0}
    groups = {"deep": ["z", "town_vec", "x"]}
    variables = [(4, 6), (6,), (6, 3), (3,), (3, 1), (1,), (4, 2)]
    refused = [
        (
            {"deep": ["x", "town"]},
            "columns.town: the backbone dnn cannot read it in its deep part",
            "Categorical, of kind identity",
        ),
        (
            {"deep": ["photo"]},
            "columns.photo: the backbone dnn cannot read it in its deep part",
            "Image, of kind image",
        ),
    ]

    @pytest.mark.parametrize(("activation", "function"), [("relu", lambda x: np.maximum(x, 0)), ("tanh", np.tanh)])
    def test_its_layers(self, activation, function):
        """The columns side by side in the order of their group, an activation after every layer but the last."""
        network = self.network("size", activation=activation)
        rng = np.random.default_rng(2)
        weights = [rng.normal(size=shape) for shape in [(4, 6), 6, (6, 3), 3, (3, 3), 3]]
        for variable, value in zip(network.backbone.trainable_variables, weights, strict=True):
            variable.assign(value)
        vectors = rng.normal(size=(4, 2))
        network.columns.tables["town_vec"]["table"].assign(vectors)

        x = np.hstack([ROWS["z"], [vectors[2], [0, 0], vectors[0]], ROWS["x"]])
        x = function(x @ weights[0] + weights[1])
        x = function(x @ weights[2] + weights[3])
        np.testing.assert_allclose(network(self.rows()), x @ weights[4] + weights[5], rtol=1e-5, atol=1e-5)

    def test_batch_normalization_comes_after_each_activation(self):
        """relu(x) = x here; in training a batch is scaled to mean 0 and variance 1, else by the means as they are."""
        network = self.network(hidden=[1], batch_norm=True)
        for variable in network.trainable_variables:
            variable.assign(np.ones(variable.shape))
        dense, normalize, last = network.backbone.steps
        for layer in (dense, normalize, last):
            (layer.beta if layer is normalize else layer.bias).assign([0.0])
        vectors = np.array([[0.0, 0.0], [0.0, 0.0], [2.0, 3.0], [0.0, 0.0]])
        network.columns.tables["town_vec"]["table"].assign(vectors)
        x = np.array([0 + 5 + 1, 3 + 0 - 2, 0.25 + 0 + 0.5])  # z, town_vec and x summed
        np.testing.assert_allclose(network(self.rows())[:, 0], x / np.sqrt(1.001), rtol=1e-6)
        scaled = (x - x.mean()) / np.sqrt(x.var() + 0.001)
        np.testing.assert_allclose(network(self.rows(), training=True)[:, 0], scaled, rtol=1e-5)
        np.testing.assert_allclose(normalize.moving_mean, [0.1 * x.mean()], rtol=1e-6)

    def test_without_hidden_layers_it_is_linear(self):
        assert [tuple(v.shape) for v in self.network(hidden=[]).backbone.trainable_variables] == [(4, 1), (1,)]
