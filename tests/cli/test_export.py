"""`tfloom export` writes the next version of an export, after the C API has tried it."""

import tensorflow as tf


def test_signatures_and_where_they_were_tried(way):
    predictions = "class_ids, classes, logistic, logits, probabilities"
    assert way.export.code == 0
    assert way.export.lines == [
        "signature inputs outputs",
        f"serving_default age-now, home_town {predictions}",
        f"serving_examples examples {predictions}",
        "transform examples age, town",
        "classify inputs classes, scores",
        "regress inputs outputs",
        "tried: classify, regress, serving_default, serving_examples, transform by the C API of TensorFlow "
        f"{tf.__version__}",
        "written: export/1",
    ]


def test_the_next_version(tfloom, tmp_path):
    (tmp_path / "export" / "7").mkdir(parents=True)
    assert tfloom("export", "model", "-o", tmp_path / "export").lines[-1] == f"written: {tmp_path / 'export' / '8'}"


def test_what_is_no_model(refused, tmp_path):
    assert refused("export", "transformed", "-o", tmp_path / "export") == (
        "transformed: is not a model",
        "a model, as `tfloom train` writes it, with train_spec.json",
        "a folder with examples, feature_spec.json, rejected, report.json, stats, transform_fn, transformed_metadata",
    )


def test_a_place_where_no_folder_can_be(refused):
    assert refused("export", "model", "-o", "people.csv")[0] == "people.csv/1: cannot be written"
