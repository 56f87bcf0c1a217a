"""Rows with any number of classes, from lists to what is served."""

import numpy as np
import pyarrow as pa
import pytest

import tfloom
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers import inputs

SPEC = FeatureSpec.model_validate({
    "columns": [{"name": "x", "kind": "numeric"}],
    "labels": [
        {"name": "does", "classes": ["run", "jump", "kick"], "multi_label": True, "missing": "keep"},
        {"name": "x_value", "source": "x"},
    ],
    "split": {"by": "column", "source": "part"},
})  # fmt: skip
DOES = [["run", "kick"], [], ["jump"], None]


def rows():
    """Of four rows in turn the first two classes, none, one, and no value; x tells which."""
    numbers = range(80)
    return pa.table(
        {
            "x": [float(i % 4) for i in numbers],
            "does": pa.array([DOES[i % 4] for i in numbers], pa.list_(pa.string())),
            "part": ["test" if i >= 60 else "train" for i in numbers],
        }
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("multi_label")
    output = tfloom.preprocess(SPEC, rows(), folder / "transformed")
    spec = {"label": "does", "backbone": {"name": "dnn", "hidden": [16]}, "batch_size": 20, "epochs": 60,
            "learning_rate": 0.05}  # fmt: skip
    model = tfloom.train(output, folder / "model", spec)
    tfloom.export(model, folder / "export")
    return folder


def test_targets_are_one_number_for_each_class(folder):
    output = TransformOutput.open(folder / "transformed")
    features, labels = next(iter(inputs.batches(output, "train", 8, output.spec.label("does"))))
    assert features["x"].numpy().ravel().tolist() == [0, 1, 2] * 2  # the fourth has no label
    assert labels.numpy().tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]] * 2
    features, labels = next(iter(inputs.batches(output, "train", 4, output.spec.label("x_value"))))
    assert labels.numpy().tolist() == [0, 1, 2, 3]


def test_it_is_learned_and_evaluated_on_a_split_and_on_other_rows(folder):
    on_split = tfloom.evaluate(folder / "model")
    assert on_split["rows"] == 15
    assert on_split["mean_average_precision"] == 1.0
    assert on_split["curves"]["average_precision"] == {"run": 1.0, "jump": 1.0, "kick": 1.0}
    assert on_split["loss"] < 0.1
    on_rows = tfloom.evaluate(folder / "model", rows().slice(60))
    assert on_rows["rows"] == 15
    assert on_rows["loss"] == pytest.approx(on_split["loss"], rel=1e-6)


def test_what_is_served_is_what_was_trained(folder):
    told = tfloom.verify(folder / "export" / "1", rows())
    assert (told.rows, told.transformed.differing, told.predictions.differing) == (80, 0, 0)
    table = tfloom.predict(folder / "export" / "1", rows().slice(0, 3).select(["x"]))
    probabilities = np.array(table["probabilities"].to_pylist())
    assert (probabilities > 0.5).astype(int).tolist() == [[1, 0, 1], [0, 0, 0], [0, 1, 0]]


def test_what_check_and_the_report_say(folder, tmp_path):
    assert tfloom.check(SPEC, rows()).labels == {"does": {"run": 20, "jump": 20, "kick": 20}}
    told = tfloom.report(folder, tmp_path / "report.html").read_text()
    assert "Classes of does: jump 20.0%, kick 20.0%, missing 20.0%, none of them 20.0%, run 20.0%" in told
    assert "Average precision of test by class" in told
