"""The Python face: `tfloom.NAME` for every step, from data in memory to a served model."""

import dataclasses
import json
import pkgutil
import shutil
import subprocess
import sys
import urllib.request

import keras
import numpy as np
import polars
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs.directories import write_json
from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError


def test_no_module_of_the_package_hides_a_function_of_its_face():
    """Importing a submodule puts it on the package, where __getattr__ is then asked no more."""
    assert {module.name for module in pkgutil.iter_modules(tfloom.__path__)}.isdisjoint(tfloom.__all__)


def test_the_report_is_a_function_also_after_its_package_was_imported():
    program = "import tfloom.reporting, tfloom; print(callable(tfloom.report), tfloom.report.__module__)"
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert done.stdout.split() == ["True", "tfloom.api"]


# -- data, wherever it lies -------------------------------------------------------------------------------------------


def as_csv(rows, folder):
    pyarrow.csv.write_csv(rows, folder / "flights.csv")
    return folder / "flights.csv"


def as_parquet_by_glob(rows, folder):
    pq.write_table(rows.slice(0, 50), folder / "flights-0.parquet")
    pq.write_table(rows.slice(50), folder / "flights-1.parquet")
    return f"{folder}/flights-*.parquet"


COMPARED = 3 * 118 + 32

KINDS = {
    "CSV": as_csv,
    "a glob of Parquet": as_parquet_by_glob,
    "pandas": lambda rows, _: rows.to_pandas(),
    "polars": lambda rows, _: polars.from_arrow(rows),
    "Table": lambda rows, _: rows,
    "RecordBatches": lambda rows, _: rows.to_batches(max_chunksize=50),
}


@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_every_kind_of_data_is_read_alike(trained, tmp_path, make):
    data = make(trained.rows, tmp_path)
    checked = tfloom.check(trained.folder / "flights.yaml", data)
    assert checked.rows == {"in": 120, "out": 118, "filtered": 0, "unlabelled": 2, "rejected": 0}
    assert checked.splits == {"train": 72, "eval": 24, "test": 22}
    assert checked.missing == {"distance": 1, "carrier": 0, "tags": 29, "stops": 30}
    told = tfloom.predict(trained.export, data, key=["carrier"]).to_pylist()
    assert told == tfloom.predict(trained.export, trained.rows, key=["carrier"]).to_pylist()
    assert len(told) == 120


@pytest.mark.parametrize("kind", ["pandas", "polars", "Table", "RecordBatches"])
def test_data_in_memory_is_verified(trained, tmp_path, kind):
    found = tfloom.verify(trained.export, KINDS[kind](trained.rows, tmp_path))
    assert (found.rows, found.mismatches) == (118, 0)
    # Every row at 7, 1,000 and 1,001, and 32 one by one; four materialised columns, five outputs.
    assert (found.transformed.compared, found.predictions.compared) == (COMPARED * 4, COMPARED * 5)


def test_rows_that_were_not_materialised_cannot_be_verified(trained, tmp_path):
    with pytest.raises(ArtefactError, match=r"flights\.csv: is none of the files that .*\n  expected: memory\.parquet"):
        tfloom.verify(trained.export, as_csv(trained.rows, tmp_path))


# -- step by step -----------------------------------------------------------------------------------------------------


def test_what_preprocessing_made(trained):
    output = trained.transformed
    assert output.report["rows"] == {"in": 120, "out": 118, "filtered": 0, "unlabelled": 2, "rejected": 0}
    assert output.report["splits"] == {"train": 72, "eval": 24, "test": 22}
    assert output.num_buckets == {"carrier": 4, "tags": 7, "stops": 3}


def test_rows_as_a_model_sees_them(trained):
    rows = trained.rows.slice(3, 2)  # without a distance, without a known carrier
    told = {(one.origin, one.column): one.materialised for one in tfloom.transform(trained.transformed, rows, rows=2)}
    assert told["memory.parquet:0", "distance_z"] == [0.0]  # the mean, 200, of which the z-score is 0
    assert told["memory.parquet:1", "distance_z"] == [-1.0]
    assert told["memory.parquet:0", "carrier"] == [0]
    assert told["memory.parquet:1", "carrier"] == [3]  # after the three that are known
    assert told["memory.parquet:0", "stops"] == []
    assert told["memory.parquet:1", "stops"] == [1]


def test_a_model_is_judged_on_a_split_and_on_other_data(trained):
    on_split = tfloom.evaluate(trained.model, split="test")
    assert on_split["rows"] == 22
    assert trained.model.read("metrics.json")["test"] == on_split
    test_rows = trained.rows.filter(pc.equal(trained.rows["part"], "test"))
    on_data = tfloom.evaluate(trained.model, test_rows, slice_by="carrier")
    assert {name: value for name, value in on_data.items() if name != "slices"} == on_split
    assert {name: told["rows"] for name, told in on_data["slices"].items()} == {"AA": 9, "B6": 8, "UA": 4, "ZZ": 1}


def test_a_slice_is_of_data(trained):
    with pytest.raises(SpecError, match="slice: 'carrier' is a column of raw data"):
        tfloom.evaluate(trained.model, slice_by="carrier")


def test_predictions_come_with_keys_and_reasons(trained, tmp_path):
    rows = trained.rows.slice(0, 4).to_pandas().assign(stops=["0", "two", "2", None])
    told = tfloom.predict(trained.export, rows, tmp_path / "scores.parquet", key=["carrier"], rows=3)
    assert told.column_names == ["carrier", "class_ids", "classes", "logistic", "logits", "probabilities", "rejected"]
    assert told["carrier"].to_pylist() == ["AA", "AA", "AA"]
    assert [value is None for value in told["logits"].to_pylist()] == [False, True, False]
    assert [reason and "'two'" in reason for reason in told["rejected"].to_pylist()] == [None, True, None]
    assert pq.read_table(tmp_path / "scores.parquet").equals(told)
    only = tfloom.predict(trained.export, rows.iloc[1:2])
    assert only["logits"].to_pylist() == [None]


def test_another_format_of_predictions_is_refused_before_any_are_made(trained, tmp_path):
    with pytest.raises(DataError, match="is of no format that can be written"):
        tfloom.predict(tmp_path / "there is no export", trained.rows, tmp_path / "scores.txt")


def test_a_frame_of_mixed_values_is_refused(trained):
    mixed = trained.rows.slice(0, 2).to_pandas().assign(stops=[1, "two"])
    with pytest.raises(DataError, match=r"a column of the frame mixes values[^$]*received: .*column stops"):
        tfloom.predict(trained.export, mixed)


def test_results_are_readable(trained):
    shown = repr(tfloom.load_spec(trained.folder / "flights.yaml"))
    assert shown.startswith("FeatureSpec:\n  version: 1\n")
    assert "  - {name: carrier, kind: vocabulary, oov_buckets: 1}\n" in shown
    shown = repr(tfloom.evaluate(trained.model, split="eval"))
    assert shown.startswith("{'rows': 24, 'loss': 0.")
    assert "curves" not in shown
    for result in (trained.transformed, trained.model, trained.export):
        assert str(result.path) in repr(result)
    assert repr(tfloom.verify(trained.export, trained.rows, rows=7)).splitlines() == [
        "7 rows at batch sizes 1, 7, 1,000, 1,001",
        "  transformed values: 112 compared, 0 differ",
        "  predictions: 140 compared, 0 differ",
    ]


# -- what is not as it was trained is found ---------------------------------------------------------------------------


@pytest.fixture
def moved(trained, tmp_path):
    """The whole tree, elsewhere: what names what in it is relative."""
    shutil.copytree(trained.folder, tmp_path / "moved")
    return dataclasses.replace(trained, folder=tmp_path / "moved")


def rewrite(path, change):
    """Change the examples of a shard."""
    examples = [tf.train.Example.FromString(r) for r in tf.data.TFRecordDataset(path, "GZIP").as_numpy_iterator()]
    change(examples)
    with tf.io.TFRecordWriter(path, "GZIP") as writer:
        for example in examples:
            writer.write(example.SerializeToString())


def test_a_materialised_row_that_was_changed_is_found(moved):
    def change(examples):
        examples[1].features.feature["stops"].int64_list.value[:] = [1]

    rewrite(*moved.transformed.examples("eval"), change)
    found = tfloom.verify(moved.export, moved.rows)
    # The second eval row is that of index 8, of 2 stops; it is none of the 32 looked at one by one.
    assert found.transformed.differing == 3
    assert [str(one) for one in found.transformed.first] == [
        f"memory.parquet:8: stops is 2, not 1 (transform, batches of {size})" for size in ("1,000", "7", "1,001")
    ]
    assert {one.origin for one in found.predictions.first} == {"memory.parquet:8"}
    assert json.loads((moved.export.path / "verify.json").read_text())["transformed"]["differing"] == 3


def test_an_export_whose_vocabulary_was_changed_is_found(moved):
    (vocabulary,) = (moved.export.path / "assets").iterdir()
    assert vocabulary.read_text().split() == ["AA", "B6", "UA"]
    vocabulary.write_text("AA\nUA\nB6\n")
    found = tfloom.verify(moved.export, moved.rows)
    # 60 rows of B6 and UA at each of three batch sizes, and those among 32 spread over all of them.
    assert 3 * 60 < found.transformed.differing <= 3 * 60 + 32
    assert len(found.transformed.first) == 10
    assert str(found.transformed.first[0]) == "memory.parquet:5: carrier is 2, not 1 (transform, batches of 1,000)"


def test_frames_by_split_are_verified_as_they_were_preprocessed(moved):
    """As though the rows had been preprocessed as {"train": rows}."""

    def change(examples):
        for example in examples:
            (origin,) = example.features.feature["__origin__"].bytes_list.value
            example.features.feature["__origin__"].bytes_list.value[:] = [origin.replace(b"memory", b"train")]

    for path in (moved.transformed.path / "examples").iterdir():
        rewrite(str(path), change)
    source = {"label": "train.parquet", "path": "train.parquet"}
    write_json(moved.transformed.path / "report.json", moved.transformed.report | {"sources": [source]})
    found = tfloom.verify(moved.export, {"train": moved.rows})
    assert (found.rows, found.mismatches) == (118, 0)


# -- a model of one's own ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own(trained, tmp_path_factory):
    """A Keras model over the transform output, and its export."""
    keras.utils.set_random_seed(1)
    inputs = tfloom.keras_inputs(trained.transformed)
    carriers = keras.layers.CategoryEncoding(num_tokens=5, output_mode="multi_hot")(
        keras.ops.where(inputs["carrier"] < 0, 4, inputs["carrier"])
    )
    hidden = keras.layers.Dense(4, "tanh")(keras.layers.Concatenate()([inputs["distance_z"], carriers]))
    model = keras.Model(inputs, keras.layers.Dense(1, "sigmoid", name="late")(keras.layers.Dropout(0.5)(hidden)))
    model.compile("adam", "binary_crossentropy")
    model.fit(tfloom.dataset(trained.transformed, "train", 16, seed=1), epochs=1, verbose=0)
    return model, tfloom.export(model, trained.transformed, tmp_path_factory.mktemp("own") / "export")


def test_a_split_as_batches_for_model_fit(trained):
    (features, labels), *more = tfloom.dataset(trained.transformed, "eval", 20)
    assert sorted(features) == ["carrier", "distance_z", "stops", "tags"]
    assert features["distance_z"].numpy()[:3].tolist() == [[0.0], [1.0], [-1.0]]
    assert features["stops"].numpy()[:3].tolist() == [[-1], [2], [1]]
    # Rows 3, 8, 13: delays 11, 46 and 21 minutes.
    assert labels.numpy()[:3].tolist() == [0, 1, 1]
    assert [len(labels) for _, labels in more] == [4]


def test_a_seed_shuffles_a_split(trained):
    def order(seed):
        return [int(i) for _, labels in tfloom.dataset(trained.transformed, "train", 72, seed=seed) for i in labels]

    assert order(1) == order(1) != order(None)
    assert sorted(order(1)) == sorted(order(None))


def test_a_model_of_ones_own_has_the_same_signatures(own):
    card = own[1].model_card
    assert {*card["signatures"]} == {"serving_default", "serving_examples", "transform"}
    assert card["signatures"]["serving_default"]["outputs"] == {"late": {"dtype": "float32", "shape": [None, 1]}}
    assert (card["task"], card["model"]) == ("keras", None)


def test_a_model_of_ones_own_is_verified(trained, own):
    found = tfloom.verify(own[1], trained.rows)
    assert (found.rows, found.mismatches, found.predictions.compared) == (118, 0, COMPARED)


def test_a_model_of_ones_own_is_served(trained, own):
    model, export = own
    features, _ = next(iter(tfloom.dataset(trained.transformed, "eval", 24)))
    expected = model.predict(features, verbose=0)
    raw = trained.rows.filter(pc.equal(trained.rows["part"], "eval"))
    np.testing.assert_allclose(tfloom.predict(export, raw)["late"].to_numpy(), expected[:, 0], rtol=1e-6)
    row = raw.slice(1, 1).to_pylist()[0]
    tags = row["tags"].split("|") if row["tags"] else []
    instance = {
        "distance": row["distance"], "carrier": row["carrier"], "tags": tags, "tags_length": len(tags),
        "stops": row["stops"], "stops_length": 1,
    }  # fmt: skip
    with tfloom.serve({"flights": export}, port=0) as server:
        request = urllib.request.Request(
            f"{server.url}/v1/models/flights:predict", json.dumps({"instances": [instance]}).encode()
        )
        with urllib.request.urlopen(request) as answer:
            (told,) = json.load(answer)["predictions"]
    assert told == pytest.approx(expected[1].tolist(), rel=1e-6)


def test_a_served_model_is_named_after_the_folder_of_its_versions(trained):
    for export in (trained.folder / "export", trained.folder / "export" / "1", trained.export):
        with (
            tfloom.serve(export, port=0) as server,
            urllib.request.urlopen(f"{server.url}/v1/models/export") as answer,
        ):
            assert json.load(answer)["model_version_status"][0]["version"] == "1"


def test_what_cannot_be_exported_is_refused(trained, tmp_path):
    other = keras.Input([1], name="distnace_z")
    of_what = r"export: of what, and where to\?\n.*\n  received: "
    cases = [
        ((keras.Model(other, other), trained.transformed), r"reads 'distnace_z'[^$]*expected: 'distance_z'"),
        ((keras.Sequential([keras.layers.Dense(1)]), trained.transformed), "does not name its inputs"),
        (
            (lambda columns: columns, trained.transformed),
            r"name its inputs[^$]*received: a builtins\.function",
        ),
        (
            (trained.model, trained.transformed),
            of_what + "ModelDirectory, TransformOutput",
        ),
        ((keras.Model(other, other),), of_what + "Functional"),
    ]
    for given, told in cases:
        with pytest.raises(SpecError, match=told):
            tfloom.export(*given, tmp_path / "export")
    assert list(tmp_path.iterdir()) == []
