"""`wide_deep`: beside the contract, it is the sum of its two parts."""

import numpy as np

from tests.trainers.backbones.contract import BackboneContract


class TestWideDeep(BackboneContract):
    fields = {"name": "wide_deep", "hidden": [3], "dropout": 0.0}
    groups = {"wide": ["town", "tags", "x"], "deep": ["x", "town_vec"]}
    variables = [(4, 1), (5, 1), (1, 1), (1,), (4, 2), (3, 3), (3,), (3, 1), (1,)]
    refused = [
        (
            {"wide": ["town"]},
            "groups: the backbone wide_deep has nothing to read in its deep part",
            "wide",
        ),
        (
            {"deep": ["x"], "other": ["town"]},
            "groups: the backbone wide_deep has nothing to read in its wide part",
            "deep, other",
        ),
        (
            {"wide": ["town"], "deep": ["town"]},
            "columns.town: the backbone wide_deep cannot read it in its deep part",
            "Categorical, of kind identity",
        ),
    ]

    def test_it_is_the_sum_of_its_parts(self):
        network = self.filled()
        wide, deep = network.backbone.wide, network.backbone.deep
        vectors = network.columns.tables["town_vec"]["table"].numpy()
        town, tags = (np.vstack([wide.tables[name].numpy(), [[0.0]]]) for name in ("town", "tags"))  # -1 is the last
        x = np.array([[1.0], [-2.0], [0.5]])
        linear = town[[2, -1, 0]] + tags[[[4, 1, 4], [-1, -1, -1], [3, -1, -1]]].sum(axis=1)
        linear = linear + x * wide.kernel.kernel.numpy() + wide.bias.numpy()
        kernel, bias, last, last_bias = (variable.numpy() for variable in deep.trainable_variables)
        hidden = np.hstack([x, np.vstack([vectors[2], [0, 0], vectors[0]])]) @ kernel + bias
        expected = linear + np.maximum(hidden, 0) @ last + last_bias
        np.testing.assert_allclose(network(self.rows()), expected, rtol=1e-6)

    def test_the_wide_part_starts_at_0(self):
        assert [np.any(one) for one in self.network().backbone.wide.get_weights()] == [False] * 4
