"""`multi_label`: beside the contract, classes that no row has."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tests.trainers.heads.contract import HeadContract
from tfloom.feature_specs.labels import Label

LN3 = math.log(3)


class TestMultiLabel(HeadContract):
    """The logits ln 3, -ln 3 and 0 are the probabilities 3/4, 1/4 and 1/2."""

    name = "multi_label"
    label = Label(name="actions", classes=("run", "jump", "kick"), multi_label=True)
    refused = (Label(name="fare"), Label(name="late", source="delay", above=15), Label(name="size", classes=3))
    outputs = [[LN3, -LN3, 0.0], [LN3, LN3, LN3], [0.0, 0.0, 0.0], [-LN3, 0.0, LN3]]
    labels = [[1, 0, 0], [1, 1, 1], [0, 0, 0], [1, 0, 0]]
    losses = [
        -(math.log(3 / 4) + math.log(3 / 4) + math.log(1 / 2)) / 3,
        -math.log(3 / 4),
        -math.log(1 / 2),
        -(math.log(1 / 4) + math.log(1 / 2) + math.log(1 / 4)) / 3,
    ]
    gradients = [[-1 / 12, 1 / 12, 1 / 6], [-1 / 12] * 3, [1 / 6] * 3, [-1 / 4, 1 / 6, 1 / 4]]
    probabilities = [[3 / 4, 1 / 4, 1 / 2], [3 / 4] * 3, [1 / 2] * 3, [1 / 4, 1 / 2, 3 / 4]]
    predictions = {"logits": ("float32", outputs), "probabilities": ("float32", probabilities)}
    classified = {"classes": [[b"run", b"jump", b"kick"]] * 4, "scores": probabilities}
    monitor = ("mean_average_precision", True)

    def rows(self, rng, n):
        labels = (rng.random((n, 3)) < [0.5, 0.2, 0.1]).astype(np.int64)
        return np.round(rng.normal(size=(n, 3)) + labels, 1).astype(np.float32), labels

    def expected(self, outputs, labels):
        return {
            "loss": np.mean(np.logaddexp(0, outputs) - labels * outputs),
            "mean_average_precision": sklearn.average_precision_score(labels, outputs, average="macro"),
        }

    def test_the_average_precision_of_each_class(self):
        outputs, labels = self.rows(np.random.default_rng(6), 300)
        told = self.judged(outputs, labels, batch_size=70)["curves"]["average_precision"]
        expected = sklearn.average_precision_score(labels, outputs, average=None)
        assert told == pytest.approx(dict(zip(("run", "jump", "kick"), expected, strict=True)))

    def test_a_class_that_no_row_has_is_left_out_of_the_mean(self):
        outputs, labels = self.rows(np.random.default_rng(6), 300)
        labels[:, 1] = 0
        told = self.judged(outputs, labels)
        assert told["curves"]["average_precision"].keys() == {"run", "kick"}
        assert told["mean_average_precision"] == pytest.approx(
            sklearn.average_precision_score(labels[:, [0, 2]], outputs[:, [0, 2]], average="macro")
        )
        assert math.isnan(self.judged(outputs, labels * 0)["mean_average_precision"])
