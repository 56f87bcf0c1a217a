"""`tfloom convert` writes the spec that columns of another library say."""

import pytest

from tfloom.feature_specs import load_spec

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
