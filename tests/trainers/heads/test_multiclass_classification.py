"""`multiclass_classification`: beside the contract, its names, its confusion and a class that is none."""

import math

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics as sklearn

from tests.trainers.heads.contract import HeadContract
from tfloom.feature_specs.labels import Label
from tfloom.trainers.head import head

LN2, LN3 = math.log(2), math.log(3)


class TestMulticlassClassification(HeadContract):
    """Logits ln 1, ln 2 and ln 3 are the probabilities 1/6, 2/6 and 3/6, whatever is added to all three."""

    name = "multiclass_classification"
    label = Label(name="size", classes=("small", "middle", "large"))
    borrowed = (Label(name="late", source="delay", above=15),)
    refused = (Label(name="fare"), Label(name="tags", classes=2, multi_label=True))
    outputs = [[0.0, LN2, LN3], [1.0, 1 + LN2, 1 + LN3], [LN3, 0.0, LN2], [0.0, 0.0, 0.0]]
    labels = [2, 0, 0, 1]
    losses = [-math.log(1 / 2), -math.log(1 / 6), -math.log(1 / 2), -math.log(1 / 3)]
    gradients = [
        [1 / 6, 2 / 6, 3 / 6 - 1],
        [1 / 6 - 1, 2 / 6, 3 / 6],
        [3 / 6 - 1, 1 / 6, 2 / 6],
        [1 / 3, 1 / 3 - 1, 1 / 3],
    ]
    probabilities = [[1 / 6, 2 / 6, 3 / 6], [1 / 6, 2 / 6, 3 / 6], [3 / 6, 1 / 6, 2 / 6], [1 / 3, 1 / 3, 1 / 3]]
    predictions = {
        "logits": ("float32", outputs),
        "probabilities": ("float32", probabilities),
        "class_ids": ("int64", [[2], [2], [0], [0]]),
        "classes": ("string", [[b"large"], [b"large"], [b"small"], [b"small"]]),
    }
    classified = {"classes": [[b"small", b"middle", b"large"]] * 4, "scores": probabilities}
    monitor = ("accuracy", True)

    def rows(self, rng, n):
        labels = rng.integers(0, 3, n)
        return np.round(rng.normal(size=(n, 3)) + np.eye(3)[labels], 2).astype(np.float32), labels

    def expected(self, outputs, labels):
        probabilities = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
        return {
            "loss": sklearn.log_loss(labels, probabilities),
            "accuracy": sklearn.accuracy_score(labels, outputs.argmax(axis=1)),
        }

    def test_the_confusion_has_a_row_for_each_label(self):
        outputs, labels = self.rows(np.random.default_rng(6), 300)
        told = self.judged(outputs, labels, batch_size=70)["curves"]["confusion"]
        assert told == sklearn.confusion_matrix(labels, outputs.argmax(axis=1)).tolist()

    def test_a_class_that_is_none_is_an_error(self):
        with pytest.raises(tf.errors.InvalidArgumentError, match="outside the valid range"):
            head(self.label).loss(lambda _, training: tf.zeros([1, 3]), {}, tf.constant([3], tf.int64))


def test_numbered_classes_are_named_by_their_numbers():
    task = head(Label(name="digit", classes=10))
    assert task.units == 10
    assert task.predictions(tf.one_hot([7, 0], 10))["classes"].numpy().tolist() == [[b"7"], [b"0"]]


def test_a_class_that_is_written_in_several_ways_has_its_first_name():
    task = head(Label(name="answer", classes=(("no", "No."), "maybe", ("yes", "Y"))))
    assert task.predictions(tf.eye(3))["classes"].numpy().tolist() == [[b"no"], [b"maybe"], [b"yes"]]
