"""The Keras trainer: exact resume, early stopping, the best epoch, and a model directory that is whole or absent."""

import json
import re
import signal
import subprocess
import sys
from collections import defaultdict

import numpy as np
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs.directories import TransformOutput
from tfloom.feature_specs.errors import ArtefactError
from tfloom.trainers import keras_trainer, metrics
from tfloom.trainers.backbones.wide_deep import WideDeep
from tfloom.trainers.checkpoint import Progress
from tfloom.trainers.train_spec import EarlyStopping

# 120 rows of the split train: 60 steps an epoch.
SPEC = {
    "label": "y",
    "backbone": {"name": "wide_deep", "hidden": [8], "dropout": 0.5},
    "epochs": 2,
    "batch_size": 2,
    "learning_rate": 0.01,
    "schedule": "cosine",
    "checkpoint_steps": 20,
    "seed": 7,
}
SHORT = SPEC | {"label": "late", "epochs": 1, "batch_size": 60}


@pytest.fixture(scope="module")
def whole(transformed_files, tmp_path_factory):
    """A run that nothing disturbed."""
    return tfloom.train(transformed_files, tmp_path_factory.mktemp("whole") / "model", SPEC)


def weights(model):
    """All that its checkpoint holds, by place and name; without the numbers by which Keras tells layers apart."""
    with np.load(model.path / "checkpoints" / "best" / "variables.npz") as arrays:
        return {re.sub(r"(?<=[a-z])_\d+", "", name): arrays[name] for name in arrays.files}


def assert_same(model, other):
    """Bit for bit: weights, the optimizer and seed generators; and the history but for the clock."""
    one, two = weights(model), weights(other)
    assert one.keys() == two.keys()
    assert [name for name in one if one[name].tobytes() != two[name].tobytes()] == []
    assert timeless(model.read("history.json")) == timeless(other.read("history.json"))


def timeless(history):
    return [row | {"seconds": 0} for row in history]


def cut_off_at(*when):
    def report(epoch, taken, steps, loss):
        if (epoch, taken) == when:
            raise KeyboardInterrupt

    return report


# -- resume -----------------------------------------------------------------------------------------------------------


def test_what_the_checkpoint_of_a_whole_run_holds(whole):
    """That of the last epoch here, so that what is compared below is what was learned after the cut."""
    progress = json.loads((whole.path / "checkpoints" / "best" / "progress.json").read_text())["progress"]
    assert (progress["epoch"], progress["best_epoch"]) == (2, 2)
    names = " ".join(weights(whole))
    assert "seed_generator" in names  # of dropout
    assert "adam" in names
    assert "town_vec_table" in names


@pytest.mark.parametrize("when", [(1, 50), (1, 60), (2, 50), (2, 60)])
def test_a_run_that_is_cut_off_goes_on_to_the_same_weights(transformed_files, tmp_path, whole, when):
    with pytest.raises(KeyboardInterrupt):
        tfloom.train(transformed_files, tmp_path / "model", SPEC, report=cut_off_at(*when))
    assert not (tmp_path / "model").exists()
    told = []
    model = tfloom.train(transformed_files, tmp_path / "model", SPEC, report=lambda *now: told.append(now[:3]))
    assert told == [
        one for one in [(1, 50, 60), (1, 60, 60), (2, 50, 60), (2, 60, 60)] if one[0] >= when[0]
    ]  # from step 40
    assert_same(model, whole)
    assert [one.name for one in tmp_path.iterdir()] == ["model"]


def test_a_run_that_is_cut_off_between_its_two_checkpoints_goes_on(transformed_files, tmp_path, whole, monkeypatch):
    """The best is written, the last is not: the epoch is learned again from step 40, to the same end."""
    from tfloom.trainers import checkpoint

    save = checkpoint.save

    def until_the_best(folder, *state):
        save(folder, *state)
        if folder.name == "best":
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(checkpoint, "save", until_the_best)
        with pytest.raises(KeyboardInterrupt):
            tfloom.train(transformed_files, tmp_path / "model", SPEC)
    (tmp_path / "model.training" / "checkpoints" / ".last.part").mkdir()  # as a kill while it is written leaves it
    model = tfloom.train(transformed_files, tmp_path / "model", SPEC)
    assert_same(model, whole)
    assert [one.name for one in (model.path / "checkpoints").iterdir()] == ["best"]


def test_a_run_over_augmented_pictures_that_is_cut_off_goes_on_to_the_same_weights(transformed_pictures, tmp_path):
    """In the middle of the second epoch: 18 steps each, of two rows."""
    spec = SPEC | {"label": "bright", "backbone": {"name": "cnn", "filters": [2]}, "checkpoint_steps": 5}
    whole = tfloom.train(transformed_pictures, tmp_path / "whole", spec)
    with pytest.raises(KeyboardInterrupt):
        tfloom.train(transformed_pictures, tmp_path / "model", spec, report=cut_off_at(2, 18))
    model = tfloom.train(transformed_pictures, tmp_path / "model", spec)
    assert_same(model, whole)


PROGRAM = """
import json, os, signal, sys
import tfloom

def report(epoch, taken, steps, loss):
    if (epoch, taken) == (2, 50):
        os.kill(os.getpid(), signal.SIGKILL)

tfloom.train(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), report=report)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_goes_on_to_the_same_weights(transformed_files, tmp_path, whole):
    arguments = [transformed_files.path, tmp_path / "model", json.dumps(SPEC)]
    done = subprocess.run([sys.executable, "-c", PROGRAM, *map(str, arguments)], capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["model.training"]
    assert_same(tfloom.train(transformed_files, tmp_path / "model", SPEC), whole)


def test_another_seed_gives_other_weights(transformed_files, tmp_path):
    runs = [tfloom.train(transformed_files, tmp_path / str(i), SHORT | {"seed": s}) for i, s in enumerate([7, 7, 8])]
    assert_same(runs[0], runs[1])
    one, other = (weights(runs[i]) for i in (0, 2))
    drawn = [name for name in one if name.endswith(("town_vec_table", "dense/kernel"))]
    assert len(drawn) == 3
    assert [name for name in drawn if np.array_equal(one[name], other[name])] == []
    assert runs[0].read("history.json")[0]["train"] != runs[2].read("history.json")[0]["train"]


def test_what_a_backbone_starts_from_is_read_before_the_first_step_and_never_again(
    transformed_files, tmp_path, monkeypatch
):
    def read(self, layer):
        assert self.hidden == (8,)
        for variable in layer.trainable_variables:
            variable.assign(tf.fill(variable.shape, 0.5))

    still = SHORT | {"learning_rate": 1e-9}
    monkeypatch.setattr(WideDeep, "read_saved", read)
    model = tfloom.train(transformed_files, tmp_path / "model", still)
    monkeypatch.setattr(WideDeep, "read_saved", lambda *_: pytest.fail("read again"))
    network, _ = keras_trainer.load(model)
    for variable in network.backbone.trainable_variables:
        np.testing.assert_allclose(variable, np.full(variable.shape, 0.5), rtol=1e-6)


def test_what_a_backbone_learns_last_it_learns_of_the_best_weights_and_the_split_train(
    transformed_files, tmp_path, monkeypatch
):
    told = {}

    def fit_last(self, network, batches):
        told["weights"] = network.get_weights()
        told["rows"] = sum(len(labels) for _, labels in batches)
        network.set_weights([weight + 1 for weight in told["weights"]])

    plain = tfloom.train(transformed_files, tmp_path / "plain", SHORT)
    monkeypatch.setattr(WideDeep, "fits_last", True)
    monkeypatch.setattr(WideDeep, "fit_last", fit_last)
    network, _ = keras_trainer.load(tfloom.train(transformed_files, tmp_path / "model", SHORT))
    assert told["rows"] == 120
    best = keras_trainer.load(plain)[0].get_weights()
    for weight, before, after in zip(best, told["weights"], network.get_weights(), strict=True):
        np.testing.assert_array_equal(weight, before)
        np.testing.assert_array_equal(weight + 1, after)


# -- the best epoch ---------------------------------------------------------------------------------------------------

NAN = float("nan")


@pytest.mark.parametrize(
    ("values", "more_is_better", "patience", "best_epoch", "epochs"),
    [
        ([0.6, 0.7, 0.65, 0.69, 0.9], True, 2, 2, 4),
        ([0.6, 0.7, 0.65, 0.71, 0.9], True, 2, 5, 5),
        ([0.6, 0.7, 0.65, 0.69, 0.9], True, None, 5, 5),
        ([5.0, 3.0, 3.0, 4.0], False, None, 2, 4),
        ([5.0, 5.0, 1.0], False, 1, 1, 2),
        ([None, None, None, None], True, 1, 4, 4),
        ([NAN, NAN, NAN], True, 1, 3, 3),
        ([NAN, 0.6, NAN, 0.5], True, None, 2, 4),
    ],
    ids=["stops", "in time", "without stopping", "less is better", "a tie", "no eval", "no AUC", "partly no AUC"],
)
def test_the_best_epoch(values, more_is_better, patience, best_epoch, epochs):
    progress = Progress()
    for value in values:
        if not progress.stopped:
            stopping = EarlyStopping(patience=patience) if patience else None
            progress = progress.after_epoch(value, more_is_better, stopping)
    assert (progress.best_epoch, progress.epoch) == (best_epoch, epochs)
    assert progress.stopped == (epochs < len(values))


def test_early_stopping_keeps_the_best_weights(transformed_files, tmp_path, monkeypatch):
    """Of AUCs given here; without a schedule, two epochs are the same as the first two of nine."""
    spec = SHORT | {"epochs": 9, "schedule": "constant"}
    expected = tfloom.train(transformed_files, tmp_path / "two", spec | {"epochs": 2, "early_stopping": None})
    values = iter([0.6, 0.7, 0.65, 0.69])
    monkeypatch.setattr(metrics, "of_split", lambda *_: {"auc": next(values)})
    model = tfloom.train(transformed_files, tmp_path / "model", spec | {"early_stopping": {"patience": 2}})
    assert [row["eval"]["auc"] for row in model.read("history.json")] == [0.6, 0.7, 0.65, 0.69]
    one, other = weights(expected), weights(model)
    progress = json.loads((expected.path / "checkpoints" / "best" / "progress.json").read_text())["progress"]
    assert progress["epoch"] == 2
    assert [name for name in one if one[name].tobytes() != other[name].tobytes()] == []


def test_the_weights_kept_are_those_that_were_judged_best(transformed_files, whole):
    history = whole.read("history.json")
    best = min(history, key=lambda row: row["eval"]["rmse"])
    told = tfloom.evaluate(whole, split="eval")
    assert {name: told[name] for name in best["eval"]} == best["eval"]


def test_without_an_eval_split_the_last_weights_are_kept(transformed_files, tmp_path):
    output = TransformOutput(transformed_files.path)
    output.__dict__["report"] = transformed_files.report | {"splits": {"train": 120, "eval": 0, "test": 0}}
    model = tfloom.train(output, tmp_path / "model", SHORT | {"epochs": 3, "early_stopping": {"patience": 1}})
    assert ["eval" in row for row in model.read("history.json")] == [False] * 3
    progress = json.loads((model.path / "checkpoints" / "best" / "progress.json").read_text())["progress"]
    assert progress["epoch"] == 3


def test_what_judges_is_traced_once_a_run(transformed_files, tmp_path, monkeypatch):
    made = []
    judging = metrics.judging
    monkeypatch.setattr(metrics, "judging", lambda *of: made.append(of) or judging(*of))
    tfloom.train(transformed_files, tmp_path / "model", SHORT | {"epochs": 3})
    assert len(made) == 1


# -- the model directory ----------------------------------------------------------------------------------------------


def test_of_many_models_in_one_process_tensorflow_does_not_say_that_they_are_traced_again(
    transformed_files, tmp_path, caplog
):
    for i in range(5):
        model = tfloom.train(transformed_files, tmp_path / str(i), SHORT)
        tfloom.evaluate(model, split="eval")
    assert [record.message for record in caplog.records if "retracing" in record.message] == []


def test_the_history(whole):
    history = whole.read("history.json")
    assert [(row["epoch"], row["step"]) for row in history] == [(1, 60), (2, 120)]
    for row in history:
        assert row.keys() == {"epoch", "step", "seconds", "train", "eval"}
        assert row["seconds"] > 0
        assert row["train"].keys() == {"loss"}
        assert row["eval"].keys() == {"loss", "rmse", "mae", "label/mean", "prediction/mean"}
    assert history[1]["train"]["loss"] < history[0]["train"]["loss"]


def test_tensorboard_shows_the_history(whole):
    for split in ("train", "eval"):
        shown = defaultdict(dict)
        for path in (whole.path / "tensorboard" / split).iterdir():
            for record in tf.data.TFRecordDataset(str(path)):
                event = tf.compat.v1.Event.FromString(record.numpy())
                for value in event.summary.value:
                    shown[value.tag][event.step] = float(tf.make_ndarray(value.tensor))
        history = whole.read("history.json")
        assert shown.keys() == {f"epoch_{name}" for name in history[0][split]}
        for row in history:
            for name, value in row[split].items():
                assert shown[f"epoch_{name}"][row["step"]] == pytest.approx(value, rel=1e-6)


def test_the_model_directory_is_absent_until_it_is_whole(transformed_files, tmp_path):
    seen = []

    def report(*_):
        seen.append({one.name for one in tmp_path.iterdir()})

    model = tfloom.train(transformed_files, tmp_path / "model", SHORT, report=report)
    assert seen == [{"model.training"}]
    assert [one.name for one in tmp_path.iterdir()] == ["model"]
    assert {one.name for one in model.path.iterdir()} == {
        "checkpoints", "feature_spec.json", "history.json", "provenance.json", "tensorboard", "train_spec.json",
    }  # fmt: skip
    assert model.transformed.path == transformed_files.path


def test_a_model_that_is_there_is_refused(transformed_files, whole):
    before = {path: path.stat().st_mtime_ns for path in whole.path.rglob("*")}
    with pytest.raises(ArtefactError) as error:
        tfloom.train(transformed_files, whole.path, SPEC)
    assert error.value.what == f"{whole.path}: is there already"
    assert error.value.expected == "a new path, or --overwrite"
    assert {path: path.stat().st_mtime_ns for path in whole.path.rglob("*")} == before
    assert [one.name for one in whole.path.parent.iterdir()] == ["model"]


def test_a_run_of_another_train_spec_is_not_gone_on_with(transformed_files, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        tfloom.train(transformed_files, tmp_path / "model", SPEC, report=cut_off_at(1, 50))
    with pytest.raises(ArtefactError) as error:
        tfloom.train(transformed_files, tmp_path / "model", SHORT)
    assert "holds a run that was cut off, of another train spec or transform output" in error.value.what
    model = tfloom.train(transformed_files, tmp_path / "model", SHORT, overwrite=True)
    assert [(row["epoch"], row["step"]) for row in model.read("history.json")] == [(1, 2)]
    assert [one.name for one in tmp_path.iterdir()] == ["model"]
    assert tfloom.train(transformed_files, tmp_path / "model", SHORT | {"seed": 8}, overwrite=True).path == model.path
    assert json.loads((model.path / "train_spec.json").read_text())["seed"] == 8
