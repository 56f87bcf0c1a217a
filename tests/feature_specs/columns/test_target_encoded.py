"""Beside the contract, which holds the serving form: what is trained on, that it knows no label, and the whole way."""

import hashlib

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from sklearn import metrics as sklearn

import tfloom
from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.directories import ORIGIN, training_feature
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline.learning import FOLD, label_input
from tfloom.trainers import inputs

TOWN = {"kind": "target_encoded", "source": "target_encoded_town", "label": "target_encoded_late", "smooth": 2}
SIZE = {"kind": "target_encoded", "source": "target_encoded_town", "label": "target_encoded_size", "classes": 3}


class TestTargetEncoded(ColumnContract):
    """Of the 6 training rows row 5 has no label. Town a has rows 0, 1 and 4, b row 2, no town row 3."""

    rows = {
        "target_encoded_town": pa.array(["a", "a", "b", None, "a", "b", "c", "ü"]),
        "target_encoded_code": pa.array([-1, -1, 2**62, None, -1, 2**62, 0, 2**62]),
        "target_encoded_y": pa.array([1.0, 2, 3, 4, 5, None, 7, 8]),
        "target_encoded_word": pa.array(["small", "large", "middle", "small", "small", None, "large", "large"]),
    }
    inputs = {"target_encoded_code": {"dtype": "int64", "optional": True}}
    labels = [
        {"name": "target_encoded_late", "source": "target_encoded_y", "above": 2.5, "missing": "keep"},
        {"name": "target_encoded_value", "source": "target_encoded_y", "missing": "keep"},
        {
            "name": "target_encoded_size",
            "source": "target_encoded_word",
            "classes": ["small", "middle", "large"],
            "missing": "keep",
        },
    ]
    columns = {
        "target_encoded_binary": TOWN,
        "target_encoded_plain": TOWN | {"smooth": 0},
        "target_encoded_smoother": TOWN | {"smooth": 20},
        "target_encoded_int": TOWN | {"source": "target_encoded_code"},
        "target_encoded_number": TOWN | {"label": "target_encoded_value", "smooth": 1},
        "target_encoded_classes": SIZE | {"smooth": 0},
        "target_encoded_folds": TOWN | {"folds": 3},
    }
    # 3 of 5 are late, 1 of a's 3, and those of b and of no town.
    transformed = {
        "target_encoded_binary": [2.2 / 5, 2.2 / 5, 2.2 / 3, 2.2 / 3, 2.2 / 5, 2.2 / 3, 0.6, 0.6],
        "target_encoded_plain": [1 / 3, 1 / 3, 1, 1, 1 / 3, 1, 0.6, 0.6],
        "target_encoded_smoother": [13 / 23, 13 / 23, 13 / 21, 13 / 21, 13 / 23, 13 / 21, 0.6, 0.6],
        # -1 is a value as any other.
        "target_encoded_int": [2.2 / 5, 2.2 / 5, 2.2 / 3, 2.2 / 3, 2.2 / 5, 2.2 / 3, 0.6, 2.2 / 3],
        # The mean of all is 3; a's sum is 8.
        "target_encoded_number": [2.75, 2.75, 3, 3.5, 2.75, 3, 3, 3],
        "target_encoded_classes": [
            *[[2 / 3, 0, 1 / 3]] * 2, [0, 1, 0], [1, 0, 0], [2 / 3, 0, 1 / 3], [0, 1, 0], *[[0.6, 0.2, 0.2]] * 2,
        ],
        "target_encoded_folds": [2.2 / 5, 2.2 / 5, 2.2 / 3, 2.2 / 3, 2.2 / 5, 2.2 / 3, 0.6, 0.6],
    }  # fmt: skip
    no_raw = dict.fromkeys(columns, "it is learned from a label")


def fold(key, folds):
    return (int.from_bytes(hashlib.blake2b(key, digest_size=8, salt=b"fold").digest(), "big") >> 1) % folds


def records(output, split, features):
    """The rows of a split, by feature."""
    read = {name: tf.io.FixedLenFeature([width], tf.float32) for name, width in features.items()}
    read[ORIGIN] = tf.io.FixedLenFeature([], tf.string)
    rows = [*tf.data.TFRecordDataset(output.examples(split), "GZIP")]
    return {name: value.numpy() for name, value in tf.io.parse_example(rows, read).items()}


# -- by hand ----------------------------------------------------------------------------------------------------------

KEYS = ["k1", "k8", "k9", "k10", "k11", "k16", "k17", "k18"]
FOLDS = [0, 1, 0, 0, 1, 1]
"""Those of the training rows, of two. Towns are a, a, a, b, b, c."""

TRAINED = {
    # To fold 0 of a"s rows the second alone counts, of the prior rows 1, 4 and 5; to fold 1 a"s first and third.
    "late_of": [1 / 3, 5 / 9, 1 / 3, 5 / 6, 5 / 6, 2 / 3],
    "y_of": [2, 2, 2, 5, 4, 8 / 3],
    "size_of": [
        [0, 5 / 6, 1 / 6], [5 / 9, 0, 4 / 9], [0, 5 / 6, 1 / 6],
        [0, 5 / 6, 1 / 6], [5 / 6, 0, 1 / 6], [2 / 3, 0, 1 / 3],
    ],
}  # fmt: skip
SMALL = {
    "columns": [
        {"name": "late_of", "kind": "target_encoded", "source": "town", "label": "late", "smooth": 1, "folds": 2},
        {"name": "y_of", "kind": "target_encoded", "source": "town", "label": "y", "smooth": 0, "folds": 2},
        {"name": "size_of", "kind": "target_encoded", "source": "town", "label": "size", "classes": 3, "folds": 2,
         "smooth": 1},
    ],
    "labels": [{"name": "late", "source": "y", "above": 2}, {"name": "y"}, {"name": "size", "classes": 3}],
    "key": ["id"],
    "split": {"by": "column", "source": "part"},
}  # fmt: skip


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    table = pa.table(
        {
            "id": KEYS,
            "town": ["a", "a", "a", "b", "b", "c", "a", "b"],
            "y": [1.0, 2, 3, 4, 5, 6, 70, 80],
            "size": [0, 1, 2, 0, 1, 2, 0, 0],
            "part": ["train"] * 6 + ["eval"] * 2,
        }
    )
    return tfloom.preprocess(FeatureSpec.model_validate(SMALL), table, tmp_path_factory.mktemp("small") / "out")


def test_what_a_row_is_trained_on_is_what_the_other_folds_say(small):
    assert [fold(key.encode(), 2) for key in KEYS[:6]] == FOLDS
    names = {training_feature(name): width for name, width in {"late_of": 1, "y_of": 1, "size_of": 3}.items()}
    told = records(small, "train", names)
    for name, expected in TRAINED.items():
        np.testing.assert_allclose(told[training_feature(name)].squeeze(), expected, rtol=1e-7, err_msg=name)


def test_the_training_split_alone_has_a_training_form(small):
    (first,) = tf.data.TFRecordDataset(small.examples("eval"), "GZIP").take(1)
    names = {*tf.train.Example.FromString(first.numpy()).features.feature}
    assert names == {"late_of", "y_of", "size_of", "late", "y", "size", ORIGIN, "__key__.id"}


def test_what_trainers_read(small):
    label = small.spec.label("y")
    forms = {
        training: next(iter(inputs.batches(small, "train", 10, label, training=training)))[0]
        for training in (True, False)
    }
    assert forms[True].keys() == forms[False].keys() == {"late_of", "y_of", "size_of"}
    np.testing.assert_allclose(forms[True]["y_of"][:, 0], TRAINED["y_of"], rtol=1e-7)
    np.testing.assert_allclose(forms[False]["y_of"][:, 0], [2, 2, 2, 4.5, 4.5, 6], rtol=1e-7)
    for split, training, expected in (("train", None, True), ("train", False, False)):
        (features, _) = next(iter(tfloom.dataset(small, split, 10, label="y", training=training)))
        np.testing.assert_array_equal(features["y_of"], forms[expected]["y_of"])
    (features, _) = next(iter(tfloom.dataset(small, "eval", 10, label="y")))
    np.testing.assert_allclose(features["y_of"][:, 0], [2, 4.5], rtol=1e-7)


# -- the whole way, of a label that nothing tells ---------------------------------------------------------------------

ROWS = 3_000
SPEC = {
    "columns": [
        {"name": "id_of", "kind": "target_encoded", "source": "id", "label": "late", "smooth": 1},
        {"name": "wide_of", "kind": "target_encoded", "source": "id", "label": "late", "smooth": 1, "folds": 20},
        {"name": "id_y", "kind": "target_encoded", "source": "id", "label": "y"},
    ],
    "labels": [{"name": "late", "source": "y", "above": 0}, {"name": "y"}],
    "split": {"by": "hash", "eval": 0.2, "test": 0.2},
    "groups": {"deep": ["id_of"], "wide": ["wide_of", "id_y"]},
}


@pytest.fixture(scope="module")
def drawn():
    """Labels at random, and twice as many rows as categories."""
    rng = np.random.default_rng(11)
    return pa.table({"id": rng.integers(0, ROWS // 2, ROWS).astype(str), "y": rng.normal(size=ROWS)})


@pytest.fixture(scope="module")
def output(drawn, tmp_path_factory):
    spec = FeatureSpec.model_validate(SPEC | {"inputs": {"id": {"dtype": "string"}}})
    return tfloom.preprocess(spec, drawn, tmp_path_factory.mktemp("drawn") / "transformed")


def test_a_row_is_not_told_its_own_label(output, drawn):
    names = ["id_of", "wide_of", "id_y"]
    told = records(output, "train", dict.fromkeys([*names, *map(training_feature, names)], 1))
    y = np.array(drawn["y"])[[int(origin.rpartition(b":")[2]) for origin in told[ORIGIN]]]
    auc = {name: sklearn.roc_auc_score(y > 0, told[name][:, 0]) for name in told if name != ORIGIN}
    assert {name for name in auc if auc[name] > 0.8} == set(names)  # what is served was learned from the row itself
    for name in map(training_feature, names):
        assert 0.45 < auc[name] < 0.55, name


def test_a_model_learns_nothing_where_there_is_nothing(output, tmp_path):
    """Of what is served it would learn the labels of the rows by heart, and be worse than chance on any others."""
    fields = {"label": "late", "epochs": 4, "learning_rate": 0.05, "batch_size": 64, "backbone": {"name": "linear"}}
    model = tfloom.train(output, tmp_path / "model", fields)
    (*_, last) = model.read("history.json")
    assert 0.68 < last["train"]["loss"] < 0.71
    assert 0.68 < last["eval"]["loss"] < 0.75
    assert tfloom.evaluate(model, split="eval")["loss"] == pytest.approx(last["eval"]["loss"], abs=0.05)


def test_both_forms_are_those_of_the_saved_transform_fn(output, drawn):
    """Bit for bit, at every batch size, where labels and folds are fed; where they are not there is what is served."""
    names = ["id_of", "wide_of", "id_y"]
    both = [*names, *map(training_feature, names)]
    told = records(output, "train", dict.fromkeys(both, 1))
    rows = [int(origin.rpartition(b":")[2]) for origin in told[ORIGIN]]
    ids, y = np.array(drawn["id"])[rows], np.array(drawn["y"], np.float32)[rows]
    folds = np.array([fold(origin, 2**63) for origin in told[ORIGIN]])
    layer = tft.TFTransformOutput(str(output.path)).transform_features_layer()
    for size, count in ((len(rows), len(rows)), (1_001, 1_001), (1_000, 1_000), (7, 70), (1, 10)):
        for start in range(0, count, size):
            of = slice(start, start + size)
            raw = {"id": tf.sparse.from_dense(ids[of][:, None])}
            fed = {label_input("late"): np.int64(y[of] > 0), label_input("y"): y[of], FOLD: folds[of]}
            made = layer(raw | {name: tf.constant(value) for name, value in fed.items()})
            assert made.keys() == set(both)
            assert [n for n in both if made[n].numpy().tobytes() != told[n][of].tobytes()] == [], size
            served = layer(raw)
            assert served.keys() == set(names)
            assert [n for n in names if served[n].numpy().tobytes() != told[n][of].tobytes()] == [], size


@pytest.mark.parametrize("trainer", ["keras", "estimator"])
def test_the_serving_form_is_served(output, drawn, tmp_path, trainer):
    fields = {"label": "late", "epochs": 1, "trainer": trainer, "backbone": {"name": "wide_deep", "hidden": [4]}}
    model = tfloom.train(output, tmp_path / "model", fields)
    export = tfloom.export(model, tmp_path / "export")
    verified = tfloom.verify(export, drawn, transformed=output)
    assert verified.mismatches == 0
    assert verified.rows == ROWS
    seen = tfloom.transform(output, pa.table({"id": ["17", "none of them"]}), rows=2)
    assert len(seen) == 6
    assert tfloom.predict(export, pa.table({"id": ["17", None]})).num_rows == 2


# -- what it cannot be ------------------------------------------------------------------------------------------------

LABELS = [{"name": "late", "source": "y", "above": 0}, {"name": "y"}, {"name": "size", "classes": 3},
          {"name": "tags", "classes": 3, "multi_label": True}]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "what", "received"),
    [
        ({"label": "latte"}, "columns.x: there is no label 'latte'", "'latte'"),
        ({"label": "tags"}, "columns.x.label: 'tags' has any number of classes", "multi_label: true"),
        ({"label": "size"}, "columns.x.classes: 'size' has another number of classes", "no classes"),
        ({"label": "size", "classes": 2}, "columns.x.classes: 'size' has another number of classes", "classes: 2"),
        ({"label": "late", "classes": 2}, "columns.x.classes: 'late' has another number of classes", "classes: 2"),
        ({"label": "late", "folds": 1}, "columns.0.folds: is not right", "1"),
        ({"label": "late", "smooth": -1}, "columns.0.smooth: is not right", "-1"),
        ({}, "columns.0.label: is missing", "nothing"),
    ],
)
def test_what_it_cannot_be(fields, what, received):
    with pytest.raises(SpecError) as error:
        validate({"columns": [{"name": "x", "kind": "target_encoded"} | fields], "labels": LABELS}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.received == received


def test_nothing_is_materialised_of_it():
    """It would be of what is served, in training too; what is encoded in the model is of what is trained on."""
    encoded = {"name": "x", "kind": "target_encoded", "label": "y"}
    of = {"name": "twice", "kind": "expression", "of": "2 * x", "missing": 0}
    with pytest.raises(SpecError) as error:
        validate({"columns": [encoded, of], "labels": LABELS}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.twice: expression would tell a model its own labels by 'x'"
    assert error.value.received == "'x', which is target_encoded"
    waves = {"name": "waves", "kind": "periodic", "of": "x", "frequencies": 2, "sigma": 1}
    validate({"columns": [encoded, waves], "labels": LABELS}, FeatureSpec, "spec")
