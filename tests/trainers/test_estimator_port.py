"""An old `train_and_evaluate` program runs with one line of it changed, the import."""

import csv
import re
import types
from pathlib import Path

import numpy as np
import pytest

import tfloom
from tfloom.feature_specs import FeatureSpec

PROGRAM = Path(__file__).with_name("census_program.py")


@pytest.fixture
def census(tmp_path):
    """A train and an eval CSV without header, of people whose income follows from schooling, marriage and gains."""
    rng = np.random.default_rng(7)
    schools = ["Bachelors", "HS-grad", "11th", "Masters", "Some-college", "Doctorate"]
    for name, rows in (("train.csv", 1500), ("eval.csv", 500)):
        with open(tmp_path / name, "w", newline="") as file:
            for _ in range(rows):
                school, married, age = rng.integers(len(schools)), rng.random() < 0.5, rng.integers(17, 80)
                gain = int(rng.exponential(3000)) if rng.random() < 0.1 else 0
                rich = [1, -2, -4, 2, -1, 4][school] + 3 * married + (gain > 5000) * 5 + rng.normal(0, 0.5) > 2
                csv.writer(file).writerow([
                    age, rng.choice(["Private", "State-gov", "?"]), schools[school], 9 + school,
                    "Married-civ-spouse" if married else rng.choice(["Divorced", "Never-married", "Separated"]),
                    rng.choice(["Sales", "Tech-support", "Craft-repair"]), rng.choice(["Husband", "Wife", "Unmarried"]),
                    gain, rng.integers(10, 60), ">50K" if rich else "<=50K",
                ])  # fmt: skip
    return tmp_path


def ported(path):
    """The program as a module, after the port that docs/porting_estimators.md tells."""
    page = (Path(__file__).parents[2] / "docs/porting_estimators.md").read_text()
    ((before, after),) = re.findall(r"```diff\n- (.*)\n\+ (.*)\n```", page)
    old = path.read_text().splitlines()
    assert old.count(before) == 1
    new = "\n".join(after if line == before else line for line in old)
    module = types.ModuleType("ported")
    exec(compile(new, str(path), "exec"), module.__dict__)
    return module


def test_census_wide_and_deep(census):
    import keras
    import tensorflow as tf

    program = ported(PROGRAM)
    metrics = program.main(str(census / "train.csv"), str(census / "eval.csv"), str(census / "model"))
    assert metrics["global_step"] == 120
    assert metrics["auc"] > 0.85
    assert (census / "model" / "model.ckpt-60.index").exists()
    assert (census / "model" / "model.ckpt-120.index").exists()

    saved_model = next((census / "model" / "export" / "census").iterdir())
    exported = tf.saved_model.load(str(saved_model))
    probabilities = exported.signatures["predict"](examples=tf.constant([person("Doctorate"), person("11th")]))
    assert probabilities["logistic"].shape == (2, 1)
    assert probabilities["logistic"][0, 0] > probabilities["logistic"][1, 0]

    # The process is as it was: eager, and Keras 3 trains.
    assert tf.executing_eagerly()
    assert not hasattr(tf, "estimator")
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    model.fit(np.ones((4, 2), "float32"), np.ones((4, 1), "float32"), verbose=0)

    becomes_a_keras_model(program, census, saved_model)


def becomes_a_keras_model(program, census, saved_model):
    """As docs/converting.md tells: with the column that cannot be said written by hand."""
    label = {"name": "income", "source": "income_bracket", "positive": ">50K"}
    draft = tfloom.estimator_spec(census / "model", program.build_model_columns, label)
    assert [*draft.left_out] == ["capital_gain"]
    spec = draft.spec.to_dict()
    spec["columns"].append({"name": "capital_gain", "kind": "numeric", "log1p": True})
    spec["groups"]["deep"].append("capital_gain")
    (census / "census.csv").write_text(",".join(program.CSV_COLUMNS) + "\n" + (census / "eval.csv").read_text())
    output = tfloom.preprocess(FeatureSpec.model_validate(spec), str(census / "census.csv"), census / "transformed")
    converted = tfloom.convert_estimator(saved_model, program.build_model_columns, output, census / "converted")
    assert (converted.left_out, converted.of_training) == ({}, ("global_step",))
    assert converted.difference < 1e-6


def person(education):
    import tensorflow as tf

    def feature(value):
        if isinstance(value, str):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
        return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))

    values = {
        "age": 40.0, "workclass": "Private", "education": education, "education_num": 12.0,
        "marital_status": "Married-civ-spouse", "occupation": "Sales", "relationship": "Wife",
        "capital_gain": 0.0, "hours_per_week": 40.0,
    }  # fmt: skip
    features = tf.train.Features(feature={name: feature(value) for name, value in values.items()})
    return tf.train.Example(features=features).SerializeToString()
