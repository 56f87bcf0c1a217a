"""`tfloom convert` writes the spec that columns of another library say."""

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs import load_spec
from tfloom.trainers.estimator_bridge import load_estimator

PROGRAM = """\
import tensorflow as tf

def build():
    town = tf.feature_column.categorical_column_with_hash_bucket("home town", 9)
    root = tf.feature_column.numeric_column("age", normalizer_fn=tf.sqrt)
    return [town, tf.feature_column.indicator_column(town), root]
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    (tmp_path / "old_program.py").write_text(PROGRAM)
    monkeypatch.syspath_prepend(tmp_path)


def test_a_spec_of_feature_columns(succeeds, program, tmp_path):
    out = tmp_path / "spec.yaml"
    assert succeeds("convert", "feature_columns", "old_program:build", "-o", out) == [
        "column kind reads",
        "home_town hashed home town",
        "home_town_indicator indicator home_town",
        "left out: age, its normalizer_fn, sqrt, cannot be said",
        f"written: {out}",
    ]
    assert [column.kind for column in load_spec(out).columns] == ["hashed", "indicator"]
    assert "#   age: its normalizer_fn, sqrt, cannot be said" in out.read_text()


@pytest.mark.parametrize(
    ("library", "source", "what"),
    [
        ("feature_column", "old_program:build", "convert: there is no 'feature_column'"),
        ("feature_columns", "old_program:bild", "convert: old_program has no 'bild'"),
        ("feature_columns", "old_program", "convert: is not module:attribute"),
    ],
)
def test_what_cannot_be_converted_leaves_nothing(refused, program, library, source, what):
    assert refused("convert", library, source, "-o", "new.yaml")[0] == what


def test_a_spec_that_is_there_is_kept(refused):
    told = refused("convert", "feature_columns", "old_program:build", "-o", "spec.yaml")
    assert told == ("spec.yaml: is there already", "a new path, or --overwrite", "spec.yaml")


def test_a_spec_of_an_easyrec_config(succeeds, tmp_path):
    config, out = tmp_path / "pipeline.config", tmp_path / "spec.yaml"
    config.write_text("model_dir: 'm' feature_config { features { input_names: 'brand' hash_bucket_size: 9 } }")
    assert succeeds("convert", "easyrec", config, "-o", out) == [
        "column kind reads",
        "brand hashed brand",
        "left out: model_dir, it is not about columns",
        f"written: {out}",
    ]


ESTIMATOR = """\
import tensorflow as tf

def columns():
    age = tf.feature_column.numeric_column("age")
    town = tf.feature_column.categorical_column_with_hash_bucket("town", 9)
    return [tf.feature_column.bucketized_column(age, [30, 50]), town]
"""
LABEL = "{name: rich, source: income, positive: '>50K'}"


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    """A folder with the columns of a LinearClassifier, the rows it learned from and what it exported."""
    folder = tmp_path_factory.mktemp("old")
    (folder / "old_columns.py").write_text(ESTIMATOR)
    ages, towns = np.arange(60.0) % 47 + 18, np.array(["Oslo", "Bergen", "Molde"] * 20)
    rich = (ages > 40) & (towns != "Molde")
    lines = (f"{age:g},{town},{'>50K' if one else '<=50K'}" for age, town, one in zip(ages, towns, rich, strict=True))
    (folder / "people.csv").write_text("\n".join(["age,town,income", *lines]) + "\n")
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(folder)
        import old_columns

        estimator = load_estimator().LinearClassifier(old_columns.columns(), model_dir=str(folder / "model_dir"))
        rows = {"age": ages[:, None], "town": towns[:, None]}
        estimator.train(lambda: tf.data.Dataset.from_tensors((rows, rich[:, None])).repeat(), steps=20)
        read = tf.feature_column.make_parse_example_spec(old_columns.columns())
        receiver = load_estimator().export.build_parsing_serving_input_receiver_fn(read)
        estimator.export_saved_model(str(folder / "exported"), receiver)
    return folder


def test_a_model_of_an_estimator(succeeds, old, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(old)
    columns, people = ("--columns", "old_columns:columns"), old / "people.csv"
    spec, transformed, model = (tmp_path / name for name in ("spec.yaml", "transformed", "model"))
    assert succeeds("convert", "estimator", old / "model_dir", *columns, "--label", LABEL, "-o", spec) == [
        "column kind reads",
        "age_bucketized bucketized age",
        "town hashed town",
        "label rich: binary_classification",
        f"written: {spec}",
    ]
    succeeds("preprocess", spec, people, "-o", transformed)
    of_checkpoint = succeeds(
        "convert", "estimator", old / "model_dir", *columns, "--transformed", transformed, "-o", model
    )
    assert of_checkpoint[0].startswith("of training alone: global_step, training/Ftrl/beta, ")
    assert of_checkpoint[1:] == [f"written: {model}"]

    (saved_model,) = (old / "exported").iterdir()
    *_, difference, written = succeeds(
        "convert", "estimator", saved_model, *columns, "--transformed", transformed, "-o", model, "--overwrite"
    )
    told, _, value = difference.rpartition(" ")
    assert told == "predictions differ from the SavedModel's by at most"
    assert float(value) < 1e-6
    assert written == f"written: {model}"
    assert succeeds("evaluate", model, "--split", "train")[1].split()[0] == "train"
    succeeds("export", model, "-o", tmp_path / "export")
    assert succeeds("verify", tmp_path / "export", people)[-1] == "60 rows verified, 0 mismatches"


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ((), "--columns: is missing"),
        (("--columns", "old_columns:columns", "--label", "{name: rich"), "--label: is no label"),
        (("--columns", "old_columns:columns", "--label", "3"), "--label: is no label"),
        (("--columns", "old_columns:columns", "--label", "{name: rich, positiv: 1}"), "convert: labels.0.positiv: "),
        (("--columns", "old_columns:columns", "--transformed", "spec.yaml"), "spec.yaml: is not a transform output"),
    ],
)
def test_what_of_an_estimator_is_refused(refused, old, monkeypatch, options, what):
    monkeypatch.syspath_prepend(old)
    assert refused("convert", "estimator", old / "model_dir", *options, "-o", "new.yaml")[0].startswith(what)


@pytest.mark.parametrize("option", ["--columns", "--label", "--transformed"])
def test_options_of_an_estimator_alone(refused, program, option):
    told = refused("convert", "feature_columns", "old_program:build", option, "x", "-o", "new.yaml")
    assert told == (f"{option}: is of a trained Estimator", "convert estimator", "feature_columns")
