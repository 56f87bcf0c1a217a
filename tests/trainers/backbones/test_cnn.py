"""`cnn`: beside the contract, its layers by hand."""

import numpy as np
import pytest
import tensorflow as tf

from tests.trainers.backbones.contract import PICTURES, BackboneContract, spec_of
from tfloom.trainers.train_spec import TrainSpec

CENTRE = np.pad(np.ones([1, 1]), 1)[:, :, None, None]


class TestCnn(BackboneContract):
    fields = {"name": "cnn", "filters": [2, 5], "dropout": 0.0}
    groups = {"image": ["photo", "grey"]}
    variables = [(3, 3, 4, 2), (2,), (2,), (3, 3, 2, 5), (5,), (5,), (5, 1), (1,)]
    refused = [
        (
            {"image": ["photo", "x"]},
            "columns.x: the backbone cnn cannot read it in its image part",
            "Dense, of kind numeric",
        ),
        (
            {"wide": ["town"]},
            "columns.town: the backbone cnn cannot read it in its image part",
            "Categorical, of kind identity",
        ),
        (
            {"image": ["photo", "big"]},
            "columns.big: the backbone cnn reads pictures of one size, their channels stacked",
            "8 x 6",
        ),
    ]

    @pytest.mark.parametrize("filters", [[1], [1, 1]])
    def test_the_picture_is_halved_between_convolutions(self, filters):
        """With kernels that leave a pixel as it is, the output is the mean over pixels, or over maxima of 2 x 2."""
        network = self.network(filters=filters)
        for variable in network.trainable_variables:
            one = {4: CENTRE, 2: [[1.0]]}.get(len(variable.shape))
            variable.assign(variable if one is None else np.broadcast_to(one, variable.shape))
        x = np.concatenate([PICTURES, PICTURES[..., :1]], axis=-1).astype(np.float64).sum(axis=-1) / np.sqrt(1.001)
        if len(filters) == 2:
            x = x.reshape(3, 2, 2, 3, 2).max(axis=(2, 4)) / np.sqrt(1.001)
        np.testing.assert_allclose(network(self.rows())[:, 0], x.mean(axis=(1, 2)), rtol=1e-5)

    def test_only_training_moves_the_statistics(self):
        network, rows = self.filled(), self.rows()
        statistics = [v for v in network.non_trainable_variables if "moving" in v.path]
        before = [np.array(one) for one in statistics]
        network(rows, training=False)
        assert [np.array_equal(a, b) for a, b in zip(before, statistics, strict=True)] == [True] * 4
        network(rows, training=True)
        assert [np.array_equal(a, b) for a, b in zip(before, statistics, strict=True)] == [False] * 4

    def test_a_picture_of_one_pixel(self):
        spec = spec_of({"image": ["photo"]})
        layer = TrainSpec(backbone=self.fields).backbone_for(spec).layer({}, {}, 2)

        class One:
            values = tf.ones([3, 1, 1, 3])

        assert layer.call({"image": (One,)}).shape == (3, 2)
