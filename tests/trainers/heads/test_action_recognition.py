"""`action_recognition`: beside the contract, its metrics at their edges."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tests.trainers.heads.contract import HeadContract
from tfloom.feature_specs.labels import Label

LN2, LN3 = math.log(2), math.log(3)
ACTIONS = ("run", "jump", "kick", "throw", "sit", "stand", "wave")


class TestActionRecognition(HeadContract):
    """Of seven logits of which five are 0, ln 2 and ln 3 are the probabilities 2/10 and 3/10."""

    name = "action_recognition"
    label = Label(name="action", classes=ACTIONS)
    own = False
    borrowed = (label, Label(name="late", source="delay", above=15))
    refused = (Label(name="fare"), Label(name="tags", classes=3, multi_label=True))
    outputs = [[LN2, LN3, 0, 0, 0, 0, 0], [1 + LN3, 1, 1, 1, 1, 1, 1 + LN2]]
    labels = [1, 6]
    losses = [-math.log(3 / 10), -math.log(2 / 10)]
    gradients = [[2 / 10, 3 / 10 - 1, *[1 / 10] * 5], [3 / 10, *[1 / 10] * 5, 2 / 10 - 1]]
    predictions = {
        "logits": ("float32", outputs),
        "probabilities": ("float32", [[2 / 10, 3 / 10, *[1 / 10] * 5], [3 / 10, *[1 / 10] * 5, 2 / 10]]),
        "class_ids": ("int64", [[1], [0]]),
        "classes": ("string", [[b"jump"], [b"run"]]),
    }
    classified = {"classes": [[name.encode() for name in ACTIONS]] * 2, "scores": predictions["probabilities"][1]}
    monitor = ("accuracy", True)

    def rows(self, rng, n):
        labels = rng.integers(0, 7, n)
        return np.round(rng.normal(size=(n, 7)) + np.eye(7)[labels], 2).astype(np.float32), labels

    def expected(self, outputs, labels):
        probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        # Which of equal logits comes first says sklearn otherwise: so small a difference decides it as argmax does.
        apart = outputs - 1e-9 * np.arange(7)
        return {
            "loss": sklearn.log_loss(labels, probabilities),
            "accuracy": sklearn.accuracy_score(labels, outputs.argmax(axis=1)),
            "top_5_accuracy": sklearn.top_k_accuracy_score(labels, apart, k=5),
            "mean_class_accuracy": sklearn.balanced_accuracy_score(labels, outputs.argmax(axis=1)),
        }

    def test_of_equal_logits_the_first_five_are_the_top_five(self):
        told = self.judged(np.zeros([7, 7], np.float32), np.arange(7))
        assert told["top_5_accuracy"] == pytest.approx(5 / 7)
        assert told["accuracy"] == told["mean_class_accuracy"] == pytest.approx(1 / 7)

    def test_a_class_that_no_row_has_counts_for_nothing_in_their_mean(self):
        outputs = np.eye(7, dtype=np.float32)[[0, 0, 1, 2]]
        assert self.judged(outputs, np.array([0, 0, 1, 1]))["mean_class_accuracy"] == pytest.approx((1 + 1 / 2) / 2)
