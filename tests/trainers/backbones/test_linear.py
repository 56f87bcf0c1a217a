"""`linear`: beside the contract, it is a matrix product."""

import numpy as np

from tests.trainers.backbones.contract import BackboneContract, spec_of
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.network import build
from tfloom.trainers.train_spec import TrainSpec


class TestLinear(BackboneContract):
    fields = {"name": "linear"}
    groups = {"wide": ["x", "town", "z", "tags", "town_vec"]}
    variables = [(4, 1), (5, 1), (4, 1), (1,), (4, 2)]  # town, tags, the four numbers, the bias, town_vec
    refused = [
        (
            {"wide": ["x", "photo"]},
            "columns.photo: the backbone linear cannot read it in its wide part",
            "Image, of kind image",
        ),
    ]

    def test_weights_start_at_0(self):
        assert not np.any(self.network("size")(self.rows()))

    def test_it_is_a_matrix_product(self):
        """Every row as counts of its ids and its numbers, by a matrix of their weights; ids -1 count nowhere."""
        network = self.network("size")
        rng = np.random.default_rng(1)
        town, tags, numbers = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)), rng.normal(size=(4, 3))
        bias, vectors = rng.normal(size=3), rng.normal(size=(4, 2))
        layer = network.backbone
        layer.tables["town"].assign(town)
        layer.tables["tags"].assign(tags)
        layer.kernel.kernel.assign(numbers)
        layer.bias.assign(bias)
        network.columns.tables["town_vec"]["table"].assign(vectors)

        counts = [[0, 0, 1, 0, 0, 1, 0, 0, 2], [0] * 9, [1, 0, 0, 0, 0, 0, 0, 1, 0]]
        dense = np.array([[1.0, 0.0, *vectors[2]], [-2.0, 3.0, 0.0, 0.0], [0.5, 0.25, *vectors[0]]])
        expected = np.hstack([counts, dense]) @ np.vstack([town, tags, numbers]) + bias
        np.testing.assert_allclose(network(self.rows()), expected, rtol=1e-5, atol=1e-6)


def test_a_row_of_no_known_id_is_the_bias():
    network, _ = build(spec_of({"wide": ["tags"]}), {"tags": 5}, TrainSpec(label="late", backbone={"name": "linear"}))
    network.backbone.tables["tags"].assign(np.full((5, 1), 7.0))
    network.backbone.bias.assign([0.25])
    assert network({"tags": np.array([[-1, -1], [-1, 4]])}).numpy().tolist() == [[0.25], [7.25]]
    assert network({"tags": np.zeros([2, 0], np.int64)}).numpy().tolist() == [[0.25], [0.25]]


def test_the_weight_of_an_id_is_multiplied_by_its_own():
    spec = FeatureSpec.model_validate({
        "columns": [
            {"name": "ids", "kind": "identity", "buckets": 3},
            {"name": "weighed", "kind": "weighted", "of": "ids", "weights": "by"},
        ],
        "labels": [{"name": "late", "above": 0}],
    })  # fmt: skip
    num_buckets = spec.num_buckets({})
    assert num_buckets == {"ids": 3, "weighed": 3}
    network, _ = build(spec, num_buckets, TrainSpec(label="late", backbone={"name": "linear"}))
    # As tensorflow/python/feature_column/feature_column_v2_test.py has it: test_linear_model of weighted columns.
    network.backbone.tables["weighed"].assign([[1.0], [2.0], [3.0]])
    nan = float("nan")
    rows = {
        "ids": np.array([[0, -1], [2, 1], [-1, 1], [-1, -1]]),
        "weighed": np.float32([[0.5, nan], [1, 0.1], [9, -1], [nan, nan]]),
    }
    np.testing.assert_allclose(network(rows), [[0.5], [3.2], [-2], [0]], rtol=1e-6)


def test_without_a_wide_group_it_reads_every_column():
    spec = spec_of({"deep": ["x"], "others": ["town", "x"]})
    parts = TrainSpec(backbone="linear").backbone_for(spec).parts(spec)
    assert {part: [column.name for column in columns] for part, columns in parts.items()} == {"wide": ["x", "town"]}
