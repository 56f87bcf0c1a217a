"""The train spec: round trips, `--set`, and what is wrong told in three parts."""

import pytest

from tfloom.feature_specs import discovery
from tfloom.feature_specs.errors import SpecError, nearest
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.trainers.backbones.cnn import Cnn
from tfloom.trainers.backbones.dnn import Dnn
from tfloom.trainers.backbones.linear import Linear
from tfloom.trainers.backbones.wide_deep import WideDeep
from tfloom.trainers.train_spec import EarlyStopping, TrainSpec, load_train_spec

NUMBERS = FeatureSpec.model_validate({"columns": [{"name": "x", "kind": "numeric"}], "labels": [{"name": "y"}]})
FULL = """\
trainer: estimator
label: late
head: binary_classification
backbone: {name: wide_deep, hidden: [8, 4], activation: tanh, dropout: 0.5}
epochs: 7
batch_size: 32
optimizer: ftrl
learning_rate: 1e-2
schedule: cosine
early_stopping: {patience: 2}
checkpoint_steps: 10
seed: 11
"""


def test_every_field_is_read(tmp_path):
    (tmp_path / "train.yaml").write_text(FULL)
    assert load_train_spec(tmp_path / "train.yaml") == TrainSpec(
        trainer="estimator",
        label="late",
        head="binary_classification",
        backbone=WideDeep(hidden=(8, 4), activation="tanh", dropout=0.5),
        epochs=7,
        batch_size=32,
        optimizer="ftrl",
        learning_rate=0.01,
        schedule="cosine",
        early_stopping=EarlyStopping(patience=2),
        checkpoint_steps=10,
        seed=11,
    )


@pytest.mark.parametrize("text", [FULL, "{}", "backbone: cnn", "backbone: {hidden: [4]}", "early_stopping: {}"])
def test_round_trips(tmp_path, text):
    (tmp_path / "train.yaml").write_text(text)
    spec = load_train_spec(tmp_path / "train.yaml")
    for one in (spec, spec.resolved(NUMBERS)):
        (tmp_path / "train.json").write_text(one.to_json())
        assert load_train_spec(tmp_path / "train.json") == one


def test_a_resolved_spec_says_every_field_of_its_backbone():
    resolved = TrainSpec(backbone={"hidden": [4]}).resolved(NUMBERS)
    assert resolved.backbone == Dnn(hidden=(4,))
    assert '"activation": "relu"' in resolved.to_json()
    assert resolved.resolved(NUMBERS) == resolved


TOWN = {"name": "town", "kind": "identity", "buckets": 3}
X = {"name": "x", "kind": "numeric"}
PHOTO = {"name": "photo", "kind": "image", "height": 4, "width": 4}


@pytest.mark.parametrize(
    ("columns", "groups", "backbone"),
    [
        ([X], None, Dnn),
        ([TOWN], None, Linear),
        ([X, TOWN], None, Linear),
        ([X, TOWN], {"wide": ["town"]}, Linear),
        ([X, TOWN], {"wide": ["town"], "deep": ["x"]}, WideDeep),
        ([X, TOWN], {"deep": ["x"]}, Dnn),
        ([PHOTO], None, Cnn),
        ([PHOTO, X], {"image": ["photo"]}, Cnn),
    ],
)
def test_the_backbone_that_a_spec_asks_for(columns, groups, backbone):
    values = {"columns": columns, "labels": [{"name": "y"}]} | ({"groups": groups} if groups else {})
    assert type(TrainSpec().backbone_for(FeatureSpec.model_validate(values))) is backbone


# -- --set ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"epochs": "3", "optimizer": "sgd"}, TrainSpec(epochs=3, optimizer="sgd")),
        ({"learning_rate": "1e-3"}, TrainSpec(learning_rate=0.001)),
        ({"backbone": "dnn"}, TrainSpec(backbone=Dnn())),
        ({"backbone": "dnn", "backbone.hidden": "[256, 128]"}, TrainSpec(backbone=Dnn(hidden=(256, 128)))),
        ({"backbone.hidden": "[2]", "backbone.name": "wide_deep"}, TrainSpec(backbone=WideDeep(hidden=(2,)))),
        ({"backbone": "{name: cnn, filters: [8]}"}, TrainSpec(backbone=Cnn(filters=(8,)))),
        ({"early_stopping.patience": "4"}, TrainSpec(early_stopping=EarlyStopping(patience=4))),
        ({"label": "null"}, TrainSpec()),
    ],
)
def test_what_is_set(changes, expected):
    assert load_train_spec(changes=changes) == expected


def test_what_is_set_changes_the_file(tmp_path):
    (tmp_path / "train.yaml").write_text("epochs: 2\nbackbone: wide_deep\nearly_stopping: {patience: 2}\n")
    changes = {"backbone.dropout": "0.5", "early_stopping": "null", "seed": "3"}
    assert load_train_spec(tmp_path / "train.yaml", changes) == TrainSpec(
        epochs=2, backbone=WideDeep(dropout=0.5), seed=3
    )


FIELDS = (
    "backbone, batch_size, checkpoint_steps, clip_norm, early_stopping, epochs, head, label, learning_rate, "
    "learning_rate_batch, milestones, mixed_precision, momentum, optimizer, schedule, seed, trainer, warm_up_epochs, "
    "weight_decay"
)


@pytest.mark.parametrize(
    ("changes", "what", "expected", "received"),
    [
        ({"epoch": "3"}, "--set: epoch: there is no 'epoch'", f"'epochs', or another of: {FIELDS}", "'epoch'"),
        ({"epochs": "0"}, "--set: epochs: is not right", "greater than or equal to 1", "0"),
        ({"seed": "-1"}, "--set: seed: is not right", "greater than or equal to 0", "-1"),
        ({"seed": "2147483648"}, "--set: seed: is not right", "less than 2147483648", "2147483648"),
        ({"learning_rate": ".inf"}, "--set: learning_rate: is not right", "a finite number", "inf"),
        (
            {"backbone": "dmn"},
            "--set: backbone.name: there is no 'dmn'",
            nearest("dmn", discovery.names("tfloom.trainers.backbones")),
            "'dmn'",
        ),
        (
            {"backbone": "dnn", "backbone.hiden": "[4]"},
            "--set: backbone.hiden: there is no 'hiden'",
            "'hidden', or another of: activation, batch_norm, dropout, hidden, name",
            "'hiden'",
        ),
        (
            {"backbone.name": "dnn", "backbone.hidden": "[4, 0]"},
            "--set: backbone.hidden.1: is not right",
            "greater than or equal to 1",
            "0",
        ),
        (
            {"backbone": "{name: wide_deep, activation: rellu}"},
            "--set: backbone.activation: is not right",
            "the name of one of Keras' activations, such as relu",
            "'rellu'",
        ),
        (
            {"early_stopping.patients": "2"},
            "--set: early_stopping.patients: there is no 'patients'",
            "'patience', or another of: patience",
            "'patients'",
        ),
        ({"epochs": "3", "epochs.x": "1"}, "--set epochs.x: epochs has no fields", "KEY=VALUE", "epochs.x=1"),
        ({"backbone.hidden": "[4"}, "--set backbone.hidden: is not a value", "a YAML value", "[4"),
    ],
)
def test_what_cannot_be_set(changes, what, expected, received):
    with pytest.raises(SpecError) as error:
        load_train_spec(changes=changes)
    assert (error.value.what, error.value.expected, error.value.received) == (what, expected, received)


def test_a_field_that_the_chosen_backbone_does_not_have():
    """It is known only with the spec which backbone it is."""
    spec = load_train_spec(changes={"backbone.filters": "[4]"})
    with pytest.raises(SpecError) as error:
        spec.backbone_for(NUMBERS)
    assert error.value.what == "train spec: backbone.filters: there is no 'filters'"
    assert error.value.received == "'filters'"


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("epochs: 3\nbatchsize: 4\n", ", line 2: batchsize: there is no 'batchsize'"),
        ("epochs: 3\n\nbackbone:\n  name: dnn\n  hiden: [4]\n", ", line 5: backbone.hiden: there is no 'hiden'"),
        ("epochs: [3\n", ": is not YAML or JSON"),
        ("- epochs\n", ": is not a mapping"),
    ],
)
def test_a_file_that_is_wrong_is_told_with_its_line(tmp_path, text, what):
    path = tmp_path / "train.yaml"
    path.write_text(text)
    with pytest.raises(SpecError) as error:
        load_train_spec(path)
    assert error.value.what == f"{path}{what}"
    assert error.value.expected
    assert error.value.received


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SpecError) as error:
        load_train_spec(tmp_path / "train.yaml")
    assert error.value.what == f"{tmp_path / 'train.yaml'}: cannot be read"
    assert error.value.received == "No such file or directory"
