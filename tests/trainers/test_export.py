"""An export: what lies in it, what it answers, and that it is published whole or not at all."""

import base64
import json
import math
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

import tfloom
from tfloom.feature_specs import FeatureSpec
from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.errors import ArtefactError, SpecError
from tfloom.trainers import export, inputs, predictor, servable

PREDICTIONS = {
    "class_ids": ("int64", [None, 1]),
    "classes": ("string", [None, 1]),
    "logistic": ("float32", [None, 1]),
    "logits": ("float32", [None, 1]),
    "probabilities": ("float32", [None, 2]),
}
COLUMNS = {
    "carrier": ("int64", [None, None]),
    "distance_z": ("float32", [None, 1]),
    "stops": ("int64", [None, None]),
    "tags": ("int64", [None, None]),
}
NAMED = {
    "carrier": ("string", [None]),
    "distance": ("float32", [None]),
    "stops": ("int64", [None]),
    "stops_length": ("int64", [None]),
    "tags": ("string", [None, None]),
    "tags_length": ("int64", [None]),
}
EXAMPLES = ("string", [None])
SIGNATURES = {
    "serving_default": (NAMED, PREDICTIONS),
    "serving_examples": ({"examples": EXAMPLES}, PREDICTIONS),
    "transform": ({"examples": EXAMPLES}, COLUMNS),
    "classify": ({"inputs": EXAMPLES}, {"classes": ("string", [None, 2]), "scores": ("float32", [None, 2])}),
    "regress": ({"inputs": EXAMPLES}, {"outputs": ("float32", [None])}),
}


def forms(tensors):
    """Of the tensors of a SignatureDef by name."""
    return {
        name: (tf.as_dtype(t.dtype).name, [None if d.size < 0 else d.size for d in t.tensor_shape.dim])
        for name, t in tensors.items()
    }


def written(folder, name):
    return json.loads((folder / name).read_text())


# -- what lies in it --------------------------------------------------------------------------------------------------


def test_the_files_of_an_export(trained):
    files = {path.relative_to(trained.export.path).as_posix() for path in trained.export.path.rglob("*")}
    expected = {"saved_model.pb", "feature_spec.json", "train_spec.json", "model_card.json"}
    expected |= {"assets.extra/tf_serving_warmup_requests", "variables/variables.index"}
    expected |= {f"golden/{name}.json" for name in SIGNATURES}
    assert expected <= files
    assert [file for file in files if file.startswith((".", "golden/.")) or file.endswith(".part")] == []


def test_the_signatures_of_an_export(trained):
    saved = saved_model_pb2.SavedModel.FromString((trained.export.path / "saved_model.pb").read_bytes())
    (graph,) = saved.meta_graphs
    assert list(graph.meta_info_def.tags) == ["serve"]
    definitions = {name: one for name, one in graph.signature_def.items() if not name.startswith("__")}
    assert {name: (forms(one.inputs), forms(one.outputs)) for name, one in definitions.items()} == SIGNATURES
    assert {name: one.method_name for name, one in definitions.items()} == {
        "serving_default": "tensorflow/serving/predict",
        "serving_examples": "tensorflow/serving/predict",
        "transform": "tensorflow/serving/predict",
        "classify": "tensorflow/serving/classify",
        "regress": "tensorflow/serving/regress",
    }


def test_the_model_card(trained):
    card = trained.export.model_card
    told = {
        name: tuple({key: (one["dtype"], one["shape"]) for key, one in card["signatures"][name][side].items()}
                    for side in ("inputs", "outputs"))
        for name in card["signatures"]
    }  # fmt: skip
    assert told == SIGNATURES
    assert (card["task"], card["tensorflow"]) == ("binary_classification", tf.__version__)
    assert (card["model"], card["transformed"]) == ("../../model", "../../transformed")
    assert card["fingerprint"] == trained.transformed.fingerprint
    assert {by: sorted(names) for by, names in card["tried"].items()} == {
        f"C API of TensorFlow {tf.__version__}": sorted(SIGNATURES)
    }


def test_the_specs_of_an_export_are_those_it_was_made_from(trained):
    assert trained.export.spec == trained.transformed.spec
    assert written(trained.export.path, "train_spec.json") == trained.model.read("train_spec.json")
    assert trained.model.read("train_spec.json")["backbone"]["hidden"] == [4]


def test_warm_up_requests_are_one_row_for_each_signature_that_predicts(trained):
    file = trained.export.path / "assets.extra" / "tf_serving_warmup_requests"
    records = list(tf.data.TFRecordDataset(str(file)).as_numpy_iterator())
    requests = [prediction_log_pb2.PredictionLog.FromString(record).predict_log.request for record in records]
    assert [one.model_spec.signature_name for one in requests] == ["serving_default", "serving_examples"]
    signatures = tf.saved_model.load(str(trained.export.path)).signatures
    for request in requests:
        given = {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()}
        assert {len(value) for value in given.values()} == {1}
        answer = signatures[request.model_spec.signature_name](**{k: tf.constant(v) for k, v in given.items()})
        assert answer["logits"].shape == [1, 1]


# -- golden rows ------------------------------------------------------------------------------------------------------


def text(value):
    return base64.b64decode(value["b64"]).decode()


def test_golden_rows_are_raw_rows(trained):
    """The first of the eval split: rows 3, 8 and 13 of the data."""
    given = written(trained.export.path, "golden/serving_default.json")["inputs"]
    assert math.isnan(given["distance"][0])
    assert given["distance"][1:3] == [300.0, 100.0]
    assert [text(one) for one in given["carrier"][:3]] == ["AA", "B6", "AA"]
    assert [text(one) for one in given["tags"][0]] == ["rain", "snow", "wind"]
    assert [text(one) for one in given["tags"][2]] == ["rain", "", ""]
    assert given["tags_length"][:3] == [3, 0, 1]
    assert (given["stops"][:3], given["stops_length"][:3]) == ([0, 2, 1], [0, 1, 1])
    assert len(given["distance"]) == 32

    example = tf.train.Example.FromString(
        base64.b64decode(written(trained.export.path, "golden/serving_examples.json")["inputs"]["examples"][1]["b64"])
    )
    feature = example.features.feature
    assert sorted(feature) == ["carrier", "distance", "stops", "tags"]  # neither label nor origin
    assert feature["carrier"].bytes_list.value[:] == [b"B6"]
    assert feature["stops"].int64_list.value[:] == [2]
    assert feature["tags"].bytes_list.value[:] == []


def test_golden_outputs_are_the_trainers(trained):
    golden = {name: written(trained.export.path, f"golden/{name}.json")["outputs"] for name in SIGNATURES}
    assert golden["transform"]["distance_z"][:3] == [[0.0], [1.0], [-1.0]]
    assert golden["transform"]["stops"][:3] == [[-1], [2], [1]]
    _, materialised = export.golden_rows(trained.transformed)
    expected = predictor.of_model(trained.model)(materialised)
    assert golden["serving_examples"] == golden["serving_default"]
    for (signature, name), value in {
        ("serving_default", "logits"): expected["logits"],
        ("classify", "scores"): expected["probabilities"],
        ("regress", "outputs"): expected["logistic"][:, 0],
    }.items():
        np.testing.assert_array_equal(np.float32(golden[signature][name]), value)


def test_golden_rows_are_fewer_where_they_are_large(trained, monkeypatch):
    monkeypatch.setattr(export, "GOLDEN_BYTES", 1)
    rows, materialised = export.golden_rows(trained.transformed)
    assert rows.num_rows == len(materialised["distance_z"]) == 1


def test_no_golden_row_without_a_sample(trained, tmp_path):
    folder = tmp_path / "transformed"
    shutil.copytree(trained.folder / "transformed", folder)
    for file in (folder / "examples").iterdir():
        file.unlink()
    with pytest.raises(ArtefactError, match=r"no row of stats/sample\.parquet is among its examples"):
        export.golden_rows(tfloom.api.TransformOutput.open(folder))


# -- what it answers --------------------------------------------------------------------------------------------------


def test_every_row_is_predicted_as_the_trainer_does(trained):
    """Raw rows, written as tf.Examples by hand, against the same rows as materialised."""

    def example(row):
        one = tf.train.Example()
        feature = one.features.feature
        if row["distance"] is not None:
            feature["distance"].float_list.value[:] = [row["distance"]]
        feature["carrier"].bytes_list.value[:] = [row["carrier"].encode()]
        feature["tags"].bytes_list.value[:] = [tag.encode() for tag in row["tags"].split("|") if tag]
        if row["stops"] is not None:
            feature["stops"].int64_list.value[:] = [row["stops"]]
        return one.SerializeToString()

    columns = trained.transformed.spec.model_inputs
    (materialised,) = inputs.batches(trained.transformed, "train", 72)
    assert sorted(materialised) == sorted(column.name for column in columns)
    expected = predictor.of_model(trained.model)({name: value.numpy() for name, value in materialised.items()})
    rows = [example(row) for row in trained.rows.to_pylist() if row["part"] == "train"]
    signatures = tf.saved_model.load(str(trained.export.path)).signatures
    told = signatures["serving_examples"](examples=tf.constant(rows))
    for name in PREDICTIONS:
        np.testing.assert_array_equal(told[name].numpy(), expected[name], err_msg=name)
    classified = signatures["classify"](inputs=tf.constant(rows))
    np.testing.assert_array_equal(classified["scores"].numpy(), expected["probabilities"])
    assert classified["classes"].numpy()[0].tolist() == [b"0", b"1"]
    regressed = signatures["regress"](inputs=tf.constant(rows))
    np.testing.assert_array_equal(regressed["outputs"].numpy(), expected["logistic"][:, 0])


NAMES = {
    "inputs": {
        "x": {"dtype": "float32", "optional": True},
        "town": {"dtype": "string", "optional": True},
        "street": {"dtype": "string", "optional": False},
        "floor": {"dtype": "int64", "optional": True},
        "rooms": {"dtype": "int64", "optional": False},
        "tags": {"dtype": "string", "multi_valued": True, "optional": False},
        "raw": {"dtype": "string", "optional": True},
    },
    "columns": [
        {"name": "x", "kind": "numeric", "missing": 0.0},
        {"name": "town", "kind": "hashed", "buckets": 3},
        {"name": "street", "kind": "hashed", "buckets": 3},
        {"name": "floor", "kind": "identity", "buckets": 3},
        {"name": "rooms", "kind": "identity", "buckets": 3},
        {"name": "tags", "kind": "hashed", "buckets": 3},
        {"name": "both", "kind": "crossed", "of": [{"input": "raw"}, "tags"], "buckets": 3},
    ],
}


def test_what_a_client_sends_by_name():
    spec = FeatureSpec.model_validate(NAMES)
    sent = {
        "x": [1.5, math.nan, -math.inf],
        "town": ["a", "", " "],
        "street": ["a", "", " "],
        "floor": [0, 0, 2],
        "floor_length": [1, 0, 1],
        "rooms": [0, -1, 2],
        "tags": [["a", "b"], ["", "x"], ["", ""]],
        "tags_length": [2, 1, 0],
        "raw": ["", "", "a"],
        "raw_length": [1, 0, 1],
    }
    signature = servable.named_signature(spec)
    assert sorted(signature) == sorted(sent)
    tensors = {name: tf.constant(value, signature[name].dtype) for name, value in sent.items()}
    parsed = servable.raw_from_named(spec, tensors)
    assert {name: tf.RaggedTensor.from_sparse(value).to_list() for name, value in parsed.items()} == {
        "x": [[1.5], [], [-math.inf]],
        "town": [[b"a"], [], [b" "]],
        "street": [[b"a"], [b""], [b" "]],  # not optional: '' is a value
        "floor": [[0], [], [2]],  # no int64 can stand for missing
        "rooms": [[0], [-1], [2]],
        "tags": [[b"a", b"b"], [b""], []],
        "raw": [[b""], [], [b"a"]],  # a crossed '' is hashed
    }


def test_no_input_has_the_name_of_a_length():
    columns = [{"name": name, "kind": "hashed", "buckets": 3} for name in ("petal", "petal_length")]
    of = {
        "petal": {"dtype": "string", "multi_valued": True, "optional": False},
        "petal_length": {"dtype": "string", "optional": False},
    }
    with pytest.raises(SpecError, match="the length of 'petal' and 'petal_length' are one name to a client"):
        servable.named_signature(FeatureSpec.model_validate({"inputs": of, "columns": columns}))


# -- published whole or not at all ------------------------------------------------------------------------------------


@pytest.fixture
def quick(monkeypatch):
    """Exports that hold next to nothing and that nobody checks."""

    def write(model, version, card):
        (version / "saved_model.pb").touch()
        (version / "feature_spec.json").touch()
        (version / "model_card.json").write_text(json.dumps({**card, "tensorflow": "2"}))

    monkeypatch.setattr(export, "export_model", write)
    monkeypatch.setattr("tfloom.serving.golden.check", lambda version: [])


def test_the_next_version(trained, tmp_path, quick):
    made = [tfloom.export(trained.model, tmp_path / "export").path.name for _ in range(2)]
    assert made == ["1", "2"]
    for name in ("9", "10", "notes", "11.old"):
        (tmp_path / "export" / name).mkdir()
    assert tfloom.export(trained.model, tmp_path / "export").path == tmp_path / "export" / "11"
    assert ExportDirectory.open(tmp_path / "export").path.name == "11"


def test_a_cut_off_export_leaves_nothing(trained, tmp_path, quick, monkeypatch):
    def cut_off(version):
        raise KeyboardInterrupt

    monkeypatch.setattr("tfloom.serving.golden.check", cut_off)
    with pytest.raises(KeyboardInterrupt):
        tfloom.export(trained.model, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_does_not_agree_with_the_trainer_is_not_published(trained, tmp_path, monkeypatch):
    golden_rows = export.golden_rows

    def other_rows(output):
        """One materialised value by one ulp off from what the graph gives."""
        parsed, materialised = golden_rows(output)
        values = materialised["distance_z"]
        values[1] = np.nextafter(values[1], np.float32(9))
        return parsed, materialised

    out = tmp_path / "export"
    shutil.copytree(trained.folder / "export", out)
    with monkeypatch.context() as patched:
        patched.setattr(export, "golden_rows", other_rows)
        with pytest.raises(ArtefactError, match="'distance_z' of signature 'transform' differs from golden in 1 of 32"):
            tfloom.export(trained.model, out)
    assert [path.name for path in out.iterdir()] == ["1"]

    again = tfloom.export(trained.model, out)
    assert again.path == out / "2"
    for name in SIGNATURES:
        first, second = (written(out / version, f"golden/{name}.json") for version in "12")
        assert first["outputs"] == second["outputs"]
