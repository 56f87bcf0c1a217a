"""`binary_classification`: beside the contract, what AUC and the curves are at their edges."""

import math

import numpy as np
import pytest
from sklearn import metrics as sklearn

from tests.trainers.heads.contract import HeadContract
from tfloom.feature_specs.labels import Label
from tfloom.trainers.heads.binary_classification import binary_metrics

# The logits ln 3, -ln 3, 0 and ln 4 are the probabilities 3/4, 1/4, 1/2 and 4/5.
LN3, LN4 = math.log(3), math.log(4)


class TestBinaryClassification(HeadContract):
    name = "binary_classification"
    label = Label(name="late", source="delay", above=15)
    borrowed = (Label(name="answer", classes=("no", "yes")), Label(name="bit", classes=2))
    refused = (Label(name="fare"), Label(name="tags", classes=2, multi_label=True), Label(name="size", classes=3))
    outputs = [[LN3], [-LN3], [0.0], [LN4]]
    labels = [1, 1, 0, 0]
    losses = [-math.log(3 / 4), -math.log(1 / 4), -math.log(1 / 2), -math.log(1 / 5)]
    gradients = [[-1 / 4], [-3 / 4], [1 / 2], [4 / 5]]
    predictions = {
        "logits": ("float32", [[LN3], [-LN3], [0.0], [LN4]]),
        "logistic": ("float32", [[3 / 4], [1 / 4], [1 / 2], [4 / 5]]),
        "probabilities": ("float32", [[1 / 4, 3 / 4], [3 / 4, 1 / 4], [1 / 2, 1 / 2], [1 / 5, 4 / 5]]),
        "class_ids": ("int64", [[1], [0], [0], [1]]),
        "classes": ("string", [[b"1"], [b"0"], [b"0"], [b"1"]]),
    }
    classified = {
        "classes": [[b"0", b"1"]] * 4,
        "scores": [[1 / 4, 3 / 4], [3 / 4, 1 / 4], [1 / 2, 1 / 2], [1 / 5, 4 / 5]],
    }
    regressed = [3 / 4, 1 / 4, 1 / 2, 4 / 5]
    monitor = ("auc", True)

    def rows(self, rng, n):
        outputs = np.round(rng.normal(size=(n, 1)) * 2, 1).astype(np.float32)
        return outputs, (rng.random(n) < 1 / (1 + np.exp(-outputs[:, 0]))).astype(np.int64)

    def expected(self, outputs, labels):
        scores = outputs[:, 0]
        probabilities = 1 / (1 + np.exp(-scores))
        return {
            "loss": sklearn.log_loss(labels, probabilities),
            "auc": sklearn.roc_auc_score(labels, scores),
            "auc_precision_recall": sklearn.average_precision_score(labels, scores),
            "accuracy": sklearn.accuracy_score(labels, scores > 0),
            "label/mean": np.mean(labels),
            "prediction/mean": np.mean(probabilities),
        }


def test_the_auc_counts_ties_as_half():
    """Of the four pairs of a 1 and a 0 two are right, one is a tie and one is wrong."""
    told = binary_metrics(np.array([2.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0]))
    assert told["auc"] == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    told = binary_metrics(np.array([2.0, 1.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0]))
    assert told["auc"] == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    told = binary_metrics(np.array([2.0, 1.0, 1.0, 0.0]), np.array([0.0, 1.0, 0.0, 1.0]))
    assert told["auc"] == pytest.approx((0 + 0.5 + 0 + 0) / 4)


@pytest.mark.parametrize(("logit", "auc"), [(1.0, 1.0), (-1.0, 0.0), (0.0, 0.5)])
def test_the_auc_of_scores_that_say_all_or_nothing(logit, auc):
    labels = np.array([0.0, 1.0, 1.0, 0.0, 1.0])
    assert binary_metrics(logit * labels, labels)["auc"] == auc


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_there_is_no_auc_of_one_class(label):
    told = binary_metrics(np.array([1.0, 2.0, -1.0]), np.full(3, label))
    assert math.isnan(told["auc"])
    assert told["accuracy"] == pytest.approx(2 / 3 if label else 1 / 3)
    assert told["label/mean"] == label


def test_logits_of_any_size():
    told = binary_metrics(np.array([-1e4, 1e4, -800.0, 800.0]), np.array([0.0, 1.0, 1.0, 0.0]))
    assert told["prediction/mean"] == 0.5
    assert told["auc"] == 0.75


def test_the_calibration_curve_has_bins_of_equal_rows():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=1_010)
    probability = 1 / (1 + np.exp(-logits))
    labels = (rng.random(1_010) < probability).astype(np.float64)
    curve = binary_metrics(logits, labels)["curves"]["calibration"]
    assert curve["rows"] == [51] * 10 + [50] * 10
    order = np.argsort(probability)
    assert curve["predicted"][0] == pytest.approx(probability[order[:51]].mean())
    assert curve["observed"][0] == pytest.approx(labels[order[:51]].mean())
    assert curve["predicted"][-1] == pytest.approx(probability[order[-50:]].mean())
    assert curve["observed"][-1] == pytest.approx(labels[order[-50:]].mean())


def test_the_calibration_curve_of_fewer_rows_than_bins():
    curve = binary_metrics(np.array([LN3, -LN3, LN4]), np.array([1.0, 0.0, 0.0]))["curves"]["calibration"]
    assert curve["rows"] == [1, 1, 1]
    assert curve["predicted"] == pytest.approx([0.25, 0.75, 0.8])
    assert curve["observed"] == [0, 1, 0]


def test_the_roc_curve_goes_from_corner_to_corner():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=5_000), (rng.random(5_000) < 0.3).astype(np.float64)
    curve = binary_metrics(logits, labels)["curves"]["roc"]
    fpr, tpr = curve["false_positive_rate"], curve["true_positive_rate"]
    assert len(fpr) == len(tpr) == 200
    assert (fpr[0], tpr[0], fpr[-1], tpr[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(fpr) >= 0)
    assert np.all(np.diff(tpr) >= 0)
    exact = sklearn.roc_curve(labels, logits, drop_intermediate=False)[:2]
    assert {*zip(fpr, tpr, strict=True)} <= {*zip(*map(np.ndarray.tolist, exact), strict=True)}


def test_the_roc_curve_of_three_scores():
    curve = binary_metrics(np.array([2.0, 1.0, 1.0, 0.0]), np.array([1.0, 0.0, 1.0, 0.0]))["curves"]["roc"]
    assert curve == {"false_positive_rate": [0, 0, 0.5, 1], "true_positive_rate": [0, 0.5, 1, 1]}
