"""What a model predicts for materialised rows: what its export is held against."""

import json

import keras
import numpy as np
import pytest

from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.errors import ArtefactError
from tfloom.trainers import predictor

ROWS = {"x": np.float32([[1], [2], [-3]]), "y": np.float32([[10], [20], [30]])}


def model(outputs):
    inputs = {name: keras.Input([1], name=name) for name in ("x", "y")}
    return keras.Model(inputs, outputs(inputs["x"], inputs["y"]))


def dense(name, weight):
    return keras.layers.Dense(1, use_bias=False, kernel_initializer=keras.initializers.Constant(weight), name=name)


@pytest.mark.parametrize(
    ("outputs", "expected"),
    [
        (lambda x, y: dense("twice", 2)(x), {"twice": [[2], [4], [-6]]}),
        (
            lambda x, y: [dense("twice", 2)(x), dense("half", 0.5)(y)],
            {"twice": [[2], [4], [-6]], "half": [[5], [10], [15]]},
        ),
        (
            lambda x, y: {"of x": dense("a", 2)(x), "of y": dense("b", 1)(y)},
            {"of x": [[2], [4], [-6]], "of y": [[10], [20], [30]]},
        ),
    ],
    ids=["one", "several", "by name"],
)
def test_the_outputs_of_a_keras_model_have_names(outputs, expected):
    told = predictor.of_keras(model(outputs))(ROWS)
    assert told.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(told[name], value)


def test_dropout_does_nothing_to_predictions():
    told = predictor.of_keras(model(lambda x, y: keras.layers.Dropout(0.9)(dense("twice", 2)(x))))(ROWS)
    assert [value.tolist() for value in told.values()] == [[[2], [4], [-6]]]


def exported(folder, model):
    (folder / "assets.extra").mkdir(parents=True)
    for name in ("saved_model.pb", "feature_spec.json"):
        (folder / name).touch()
    (folder / "model_card.json").write_text(json.dumps({"model": None}))
    predictor.keep_model(model, folder)
    return ExportDirectory.open(folder)


def test_a_model_of_ones_own_lies_in_its_export(tmp_path):
    directory = exported(tmp_path, model(lambda x, y: dense("twice", 2)(x)))
    assert predictor.of_export(directory)(ROWS)["twice"].tolist() == [[2], [4], [-6]]


def test_a_model_that_cannot_be_loaded_is_told(tmp_path):
    with pytest.raises(ArtefactError, match=r"model\.keras: cannot be loaded\n  expected: .* registered ones"):
        exported(tmp_path / "lambda", model(lambda x, y: keras.layers.Lambda(lambda v: v * 2)(x)))
    directory = exported(tmp_path, model(lambda x, y: dense("twice", 2)(x)))
    (tmp_path / "assets.extra" / "model.keras").unlink()
    with pytest.raises(ArtefactError, match=r"model\.keras: cannot be loaded\n.*\n  received: File not found"):
        predictor.of_export(directory)
