"""How good a model is on its own splits, on other rows and on slices of them, against numpy and scikit-learn."""

import numpy as np
import pyarrow.compute as pc
import pytest
from sklearn import metrics as sklearn

import tfloom
from tests.trainers.conftest import rows
from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.trainers import metrics
from tfloom.trainers.train import load


@pytest.fixture(scope="module")
def models(transformed_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate")
    spec = {"backbone": "linear", "epochs": 1, "batch_size": 8, "learning_rate": 0.1}
    labels = ("late", "y", "kept", "kept_value")
    return {label: tfloom.train(transformed_files, folder / label, spec | {"label": label}) for label in labels}


def outputs(model, of):
    """The linear model by hand, of its weights: float32 [rows]. It reads the group `wide`, town and tags."""
    with np.load(model.path / "checkpoints" / "best" / "variables.npz") as arrays:
        named = {name.rpartition("/")[2]: arrays[name] for name in arrays.files}
    town, tags, bias = (named[name].astype(np.float64) for name in ("town_weights", "tags_weights", "bias"))
    return np.array(
        [town[a, 0] + sum(tags[i, 0] for i in ids) + bias[0] for a, ids in zip(of["town"], of["tags"], strict=True)]
    )


def lists(table):
    return {name: table[name].to_pylist() for name in table.column_names}


def expected(model, of, label="late"):
    scores, y = outputs(model, of), np.array(of["y"])
    if label == "y":
        return {
            "rows": len(y),
            "loss": sklearn.mean_squared_error(y, scores),
            "rmse": sklearn.root_mean_squared_error(y, scores),
            "mae": sklearn.mean_absolute_error(y, scores),
            "label/mean": y.mean(),
            "prediction/mean": scores.mean(),
        }
    probabilities = 1 / (1 + np.exp(-scores))
    return {
        "rows": len(y),
        "loss": sklearn.log_loss(y > 0, probabilities),
        # To what float32 holds apart, as equal scores are ties.
        "auc": sklearn.roc_auc_score(y > 0, np.round(scores, 5)),
        "auc_precision_recall": sklearn.average_precision_score(y > 0, np.round(scores, 5)),
        "accuracy": sklearn.accuracy_score(y > 0, scores > 0),
        "label/mean": np.mean(y > 0),
        "prediction/mean": probabilities.mean(),
    }


def assert_told(told, values):
    assert {*told} - {"curves", "slices"} == values.keys()
    for name, value in values.items():
        assert told[name] == pytest.approx(value, rel=1e-5), name


@pytest.mark.parametrize("label", ["late", "y"])
@pytest.mark.parametrize("split", ["train", "eval"])
def test_a_split(models, label, split):
    of = rows(0, 180).filter(pc.field("part") == split)
    assert_told(tfloom.evaluate(models[label], split=split), expected(models[label], lists(of), label))


@pytest.mark.parametrize("label", ["late", "y"])
def test_other_rows(models, label):
    told = tfloom.evaluate(models[label], rows(180, 263))
    assert_told(told, expected(models[label], lists(rows(180, 263)), label))
    assert "slices" not in told


def test_other_rows_in_several_batches(models, monkeypatch):
    from tfloom.feature_specs import spec

    whole = tfloom.evaluate(models["late"], rows(180, 263))
    monkeypatch.setattr(spec, "BATCH_ROWS", 20)
    told = tfloom.evaluate(models["late"], rows(180, 263))
    assert metrics.numbers(told) == pytest.approx(metrics.numbers(whole), rel=1e-6)
    assert told["rows"] == whole["rows"] == 83


def test_slices(models):
    """Of a column that the model reads, and of one that it does not; a slice may have one class only."""
    of = rows(180, 263)
    told = tfloom.evaluate(models["late"], of, slice_by="part")
    assert_told(told, expected(models["late"], lists(of)))
    assert [*told["slices"]] == ["eval", "train"]
    for value, slice_ in told["slices"].items():
        part = of.filter(pc.field("part") == value)
        assert_told(slice_, expected(models["late"], lists(part)))
    assert sum(one["rows"] for one in told["slices"].values()) == 83


def test_a_slice_of_one_class_has_no_auc(models):
    of = rows(180, 263)
    told = tfloom.evaluate(models["late"], of.append_column("is_late", [[y > 0 for y in of["y"].to_pylist()]]),
                           slice_by="is_late")  # fmt: skip
    assert [(value, np.isnan(one["auc"]), one["label/mean"]) for value, one in told["slices"].items()] == [
        (False, True, 0.0),
        (True, True, 1.0),
    ]


@pytest.mark.parametrize("label", ["kept", "kept_value"])
def test_rows_without_a_label_are_not_judged(models, label):
    assert tfloom.evaluate(models[label], split="train")["rows"] == 108
    of = rows(180, 260)
    known = of.filter(pc.is_valid(of["kept"]))
    told = tfloom.evaluate(models[label], of, slice_by="part")
    assert told["rows"] == 72
    assert told == tfloom.evaluate(models[label], known, slice_by="part")


def test_nothing_to_evaluate_on(models):
    with pytest.raises(DataError, match="has no row with a label to evaluate on"):
        tfloom.evaluate(models["kept"], rows(184, 185))
    with pytest.raises(ArtefactError) as error:
        tfloom.evaluate(models["late"], split="test")
    assert error.value.expected == "one of train, eval"


def test_a_split_whose_labels_are_all_missing(models):
    _, head = load(models["kept"])
    empty = {"logits": np.zeros([0, 1], np.float32)}, np.zeros(0, np.int64), *[np.zeros(0, np.float32)] * 2
    with pytest.raises(DataError) as error:
        metrics.of_batches(head, [empty])
    assert error.value.what == "evaluate: there is nothing to judge by"
    assert error.value.expected == "rows with the label 'kept'"
