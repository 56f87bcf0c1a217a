"""`tfloom train` learns by a file and by --set, and shows the epochs."""

import json
import re

import pytest

from tfloom.feature_specs import discovery

FIELDS = "backbone, batch_size, checkpoint_steps, clip_norm, early_stopping, epochs, head, label, learning_rate, "
FIELDS += "learning_rate_batch, milestones, mixed_precision, momentum, optimizer, schedule, seed, trainer, "
FIELDS += "warm_up_epochs, weight_decay"

BACKBONES = ", ".join(discovery.names("tfloom.trainers.backbones"))


def test_epochs_are_shown(way):
    assert way.train.code == 0
    splits, names, first, second, written = way.train.lines
    assert splits == "train eval eval eval eval eval eval"
    assert names == "epoch loss loss auc auc_precision_recall accuracy label/mean prediction/mean seconds"
    for number, line in ((1, first), (2, second)):
        values = line.split()
        assert (values[0], values[6], len(values)) == (str(number), "0.2105", 9)  # 4 of 19 are rich
        assert all(re.fullmatch(r"\d+\.\d{4}", value) for value in values[1:8])
    assert written == "written: model"
    assert "epoch 2/2 loss" in " ".join(way.train.err.split())


def test_set_goes_before_the_file(way):
    spec = json.loads((way.folder / "model" / "train_spec.json").read_text())
    assert (spec["epochs"], spec["backbone"]["name"], spec["backbone"]["hidden"]) == (2, "dnn", [4])
    assert (spec["trainer"], spec["optimizer"]) == ("keras", "adam")


@pytest.mark.parametrize(
    ("options", "what", "expected", "received"),
    [
        (["--set", "epochs"], "--set epochs: has no value", "KEY=VALUE, such as epochs=3", "epochs"),
        (["--set", "epoch=3"], "--set: epoch: there is no 'epoch'",
         f"'epochs', or another of: {FIELDS}", "'epoch'"),
        (["--set", "epochs=three"], "--set: epochs: is not right", "a valid integer", "'three'"),
        (["--set", "epochs=[1"], "--set epochs: is not a value", "a YAML value", "[1"),
        (["--set", "backbone=resnet"], "--set: backbone.name: there is no 'resnet'",
         f"'resnet50_v1', or another of: {BACKBONES}", "'resnet'"),
        (["--set", "backbone.width=3"], "train spec: backbone.width: there is no 'width'",
         "one of: activation, batch_norm, dropout, hidden, name", "'width'"),
        (["--set", "label=poor"], "labels: there is no label 'poor'", "one of: rich", "rich"),
        (["--trainer", "torch"], "--set: trainer: is not right", "'keras' or 'estimator'", "'torch'"),
        (["--trainer", "estimator", "--set", "optimizer=adamw"],
         "optimizer: Estimators take those of the old Keras, which has no adamw",
         "one of adam, adagrad, ftrl, rmsprop, sgd, or the trainer keras", "adamw"),
        (["--train-spec", "nothing.yaml"], "nothing.yaml: cannot be read", "a YAML or JSON file",
         "No such file or directory"),
        (["--train-spec", "spec.yaml"], "spec.yaml, line 1: columns: there is no 'columns'",
         f"one of: {FIELDS}", "'columns'"),
    ],
)  # fmt: skip
def test_what_is_no_train_spec_leaves_nothing(refused, tmp_path, options, what, expected, received):
    told = refused("train", "transformed", "-o", tmp_path / "model", *options)
    assert told == (what, expected, received)


@pytest.mark.parametrize(
    ("transformed", "received"),
    [
        ("export", "a folder with 1"),
        ("people.csv", "a file"),
        ("nothing", "nothing"),
    ],
)  # fmt: skip
def test_what_is_no_transform_output(refused, tmp_path, transformed, received):
    what = "there is no such folder" if transformed == "nothing" else "is not a transform output"
    assert refused("train", transformed, "-o", tmp_path / "model") == (
        f"{transformed}: {what}", "a transform output, as `tfloom preprocess` writes it, with report.json", received
    )  # fmt: skip


def test_a_model_that_is_there_is_kept(refused):
    told = refused("train", "transformed", "-o", "model")
    assert told == ("model: is there already", "a new path, or --overwrite", "model")


def test_a_place_where_no_folder_can_be(refused):
    what, _, _ = refused("train", "transformed", "-o", "people.csv/model")
    assert what == "people.csv/model: cannot be written"
