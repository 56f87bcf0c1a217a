"""`regression`: beside the contract, the histogram of its residuals."""

import numpy as np
import tensorflow as tf
from sklearn import metrics as sklearn

from tests.trainers.heads.contract import HeadContract
from tfloom.feature_specs.labels import Label
from tfloom.trainers.head import head


class TestRegression(HeadContract):
    name = "regression"
    label = Label(name="fare")
    borrowed = (Label(name="late", source="delay", above=15),)
    refused = (
        Label(name="size", classes=3),
        Label(name="answer", classes=("no", "yes")),
        Label(name="tags", classes=3, multi_label=True),
    )
    outputs = [[1.0], [2.0], [-3.0], [0.5]]
    labels = [1.0, 0.0, 1.0, -1.0]
    losses = [0.0, 4.0, 16.0, 2.25]
    gradients = [[0.0], [4.0], [-8.0], [3.0]]
    predictions = {"predictions": ("float32", outputs)}
    regressed = [1.0, 2.0, -3.0, 0.5]
    monitor = ("rmse", False)

    def rows(self, rng, n):
        outputs = np.round(rng.normal(size=(n, 1)) * 10, 1).astype(np.float32)
        return outputs, (outputs[:, 0] + rng.normal(size=n)).astype(np.float32)

    def expected(self, outputs, labels):
        return {
            "loss": sklearn.mean_squared_error(labels, outputs[:, 0]),
            "rmse": sklearn.root_mean_squared_error(labels, outputs[:, 0]),
            "mae": sklearn.mean_absolute_error(labels, outputs[:, 0]),
            "label/mean": np.mean(labels, dtype=np.float64),
            "prediction/mean": np.mean(outputs),
        }

    def test_the_histogram_of_residuals(self):
        """Predicted less label, -1 twice, 0 and 4: 50 bins from the least to the greatest."""
        told = self.judged(np.float32([[0], [1], [2], [5]]), np.float32([1, 2, 2, 1]))["curves"]["residuals"]
        np.testing.assert_allclose(told["edges"], np.linspace(-1, 4, 51))
        assert {i: n for i, n in enumerate(told["rows"]) if n} == {0: 2, 10: 1, 49: 1}


def test_a_binary_label_is_learned_as_0_and_1():
    task = head(Label(name="late", source="delay", above=15), "regression")
    told = task.loss(lambda _, training: tf.constant([[0.25], [0.25]]), {}, tf.constant([0, 1], tf.int64))
    assert told.per_example.numpy().tolist() == [0.0625, 0.5625]
