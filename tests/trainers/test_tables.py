"""Tables that are shared, held still or read from a file, from the spec to the export: by both trainers."""

import json

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs import FeatureSpec
from tfloom.feature_specs.directories import TransformOutput, write_json
from tfloom.feature_specs.errors import SpecError
from tfloom.trainers import inputs, predictor

HELD = np.float32([[0.5, -1], [1, 0.25], [-2, 0.125], [0, 3], [4, -0.5]])
BACKBONE = {"name": "dnn", "hidden": [4], "activation": "tanh", "dropout": 0}
TRAIN = {"epochs": 2, "batch_size": 16, "learning_rate": 0.05, "backbone": BACKBONE}
ROWS = 120


def rows() -> pa.Table:
    """Journeys from A, B or E to A, B or D, by A, B and C; late where they end in B or came by C."""
    numbers = range(ROWS)
    return pa.table(
        {
            "origin": ["ABE"[i % 3] for i in numbers],
            "dest": ["ABD"[i // 3 % 3] for i in numbers],
            "via": [["A", "C", "B", "C"][: i % 5] for i in numbers],
            "speeds": pa.array([[float(i % 4), 2.5, 4.0][: i % 4] for i in numbers], pa.list_(pa.float32())),
            "late": [float(i // 3 % 3 == 1 or i % 5 > 1) for i in numbers],
            "part": ["eval" if i % 4 == 3 else "train" for i in numbers],
        }
    )


def spec(folder):
    towns = {"kind": "vocabulary", "vocabulary": ["A", "B", "C", "D", "E"]}
    table = {"dimension": 2, "shared": "towns", "initializer": {"name": "constant", "value": 0.5}}
    return FeatureSpec.model_validate({
        "columns": [
            {"name": "origin"} | towns,
            {"name": "dest"} | towns,
            {"name": "via"} | towns,
            {"name": "origin_vec", "kind": "embedded", "of": "origin"} | table,
            {"name": "dest_vec", "kind": "embedded", "of": "dest", "combiner": "sum"} | table,
            {"name": "via_vecs", "kind": "sequence_embedded", "of": "via", "max_length": 3, "keep": "last"} | table,
            {"name": "via_last", "kind": "pooled", "of": "via_vecs", "combiner": "last"},
            {"name": "speeds", "kind": "sequence_numeric", "scale": "z_score"},
            {"name": "speed", "kind": "pooled", "of": "speeds", "combiner": "max"},
            {"name": "held", "kind": "embedded", "of": "origin", "dimension": 2, "trainable": False,
             "checkpoint": str(folder / "held.npy")},
        ],
        "labels": [{"name": "late", "above": 0}],
        "split": {"by": "column", "source": "part"},
        "groups": {"deep": ["origin_vec", "dest_vec", "via_last", "speed", "held"]},
    })  # fmt: skip


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    np.save(folder / "held.npy", HELD)
    return tfloom.preprocess(spec(folder), rows(), folder / "transformed")


@pytest.fixture(scope="module")
def model(transformed, tmp_path_factory):
    return tfloom.train(transformed, tmp_path_factory.mktemp("tables") / "model", TRAIN)


def weights(model):
    with np.load(model.path / "checkpoints" / "best" / "variables.npz") as saved:
        return {name.partition(" ")[2]: saved[name] for name in saved.files}


# -- Keras ------------------------------------------------------------------------------------------------------------


def test_what_is_trained_and_what_is_not(model):
    tables = {name: table for name, table in weights(model).items() if name.startswith("columns/")}
    assert list(tables) == ["columns/towns_table", "columns/held_table"]
    np.testing.assert_array_equal(tables["columns/held_table"], HELD)
    # The optimizer has two moments of the one, none of the other.
    assert len([name for name in weights(model) if "towns_table" in name]) == 3
    assert len([name for name in weights(model) if "held_table" in name]) == 1


@pytest.mark.parametrize(
    ("group", "towns"),
    [(["origin_vec"], "ABE"), (["origin_vec", "dest_vec"], "ABDE"), (["origin_vec", "via_last"], "ABCE")],
)
def test_every_column_trains_the_shared_table(transformed, tmp_path, group, towns):
    output = with_groups(transformed, tmp_path / "groups", {"deep": group})
    table = weights(tfloom.train(output, tmp_path / "model", TRAIN))["columns/towns_table"]
    assert moved(table) == towns


def moved(table):
    """The towns whose vectors training has changed."""
    return "".join(town for town, vector in zip("ABCDE", table, strict=True) if (vector != 0.5).any())


def with_groups(transformed, path, groups):
    """The same transform output with other groups."""
    path.mkdir()
    for part in transformed.path.iterdir():
        (path / part.name).symlink_to(part)
    (path / "feature_spec.json").unlink()
    write_json(path / "feature_spec.json", transformed.spec.to_dict() | {"groups": groups})
    return TransformOutput.open(path)


def test_a_run_that_is_cut_off_goes_on_to_the_same_weights(transformed, model, tmp_path):
    def cut_off(epoch, *_):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tfloom.train(transformed, tmp_path / "model", TRAIN, report=cut_off)
    again = weights(tfloom.train(transformed, tmp_path / "model", TRAIN))
    # Keras counts layers of a kind over a whole program: the names differ, not their order.
    for (name, one), other in zip(weights(model).items(), again.values(), strict=True):
        np.testing.assert_array_equal(one, other, err_msg=name)


def test_what_is_served_is_what_was_trained(transformed, model, tmp_path):
    (transformed.path.parent / "held.npy").rename(tmp_path / "away.npy")  # nothing but training reads it
    try:
        export = tfloom.export(model, tmp_path / "export")
        verified = tfloom.verify(export, rows())
    finally:
        (tmp_path / "away.npy").rename(transformed.path.parent / "held.npy")
    assert (verified.rows, verified.mismatches) == (ROWS, 0)


def test_a_file_that_is_not_there_is_told_before_anything_is_written(transformed, tmp_path):
    columns = transformed.spec.to_dict()["columns"]
    columns[-1]["checkpoint"] = str(tmp_path / "nowhere.npy")
    output = with_groups(transformed, tmp_path / "transformed", {})
    write_json(output.path / "feature_spec.json", transformed.spec.to_dict() | {"columns": columns})
    output = TransformOutput.open(output.path)
    for trainer, more in (("keras", {}), ("estimator", {"deep": ["held"]})):
        output = with_groups(output, tmp_path / trainer, more or output.spec.groups)
        with pytest.raises(SpecError) as error:
            tfloom.train(output, tmp_path / "model", TRAIN | {"trainer": trainer})
        assert error.value.what == "columns.held.checkpoint: cannot be read"
        assert error.value.received.startswith(str(tmp_path / "nowhere.npy"))
    assert not list(tmp_path.glob("model*"))


def test_the_inputs_of_a_model_of_ones_own(transformed, tmp_path):
    import keras

    given = tfloom.keras_inputs(transformed)
    assert (given["via"].dtype, given["via"].shape) == ("int64", (None, None))
    assert (given["speeds"].dtype, given["speeds"].shape) == ("float32", (None, None))
    known = keras.ops.isfinite(given["speeds"])
    speeds = keras.ops.sum(keras.ops.where(known, given["speeds"], 0.0), axis=1, keepdims=True)
    towns = keras.ops.sum(keras.ops.one_hot(given["via"], 5), axis=1)
    out = keras.layers.Dense(1, "sigmoid", name="late")(keras.layers.Concatenate()([speeds, towns]))
    own = keras.Model(given, out)
    own.compile("adam", "binary_crossentropy")
    own.fit(tfloom.dataset(transformed, "train", 16, seed=0), epochs=1, verbose=0)
    assert tfloom.verify(tfloom.export(own, transformed, tmp_path / "export"), rows()).mismatches == 0


def test_a_sequence_that_is_not_pooled(transformed, tmp_path):
    output = with_groups(transformed, tmp_path / "groups", {"deep": ["via_vecs"]})
    with pytest.raises(SpecError) as error:
        tfloom.train(output, tmp_path / "model", TRAIN)
    assert error.value.what == "columns.via_vecs: the backbone dnn cannot read it in its deep part"
    assert error.value.expected == "Dense, such as a pooled column of it"
    assert error.value.received == "Sequence, of kind sequence_embedded"


# -- Estimators -------------------------------------------------------------------------------------------------------


def estimator(transformed, tmp_path, group, part="deep", **fields):
    """An Estimator of a group, a DNN as a rule, and its checkpoint."""
    output = with_groups(transformed, tmp_path / "groups", {part: group})
    made = tfloom.train(output, tmp_path / "model", TRAIN | {"trainer": "estimator"} | fields)
    reader = tf.train.load_checkpoint(str(made.path / "checkpoints" / "estimator"))
    return made, {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def test_an_estimator_has_one_table_for_those_who_share(transformed, tmp_path):
    made, saved = estimator(transformed, tmp_path, ["origin_vec", "dest_vec", "held"])
    tables = [name for name in saved if name.endswith("embedding_weights")]
    assert sorted(name.split("/")[-2] for name in tables) == ["held_embedding", "origin_vec_embedding"]
    np.testing.assert_array_equal(saved[next(name for name in tables if "held" in name)], HELD)
    assert tfloom.verify(tfloom.export(made, tmp_path / "export"), rows()).mismatches == 0

    # The same row of the table for the same town, wherever it stands: `sum` and `mean` of one id are its vector.
    values = next(iter(inputs.batches(TransformOutput.open(tmp_path / "groups"), "eval", ROWS)))
    logits = predictor.of_model(made)({name: value.numpy() for name, value in values.items()})["logits"]
    kernels = [saved[f"dnn/{layer}/{part}"] for layer in ("hiddenlayer_0", "logits") for part in ("kernel", "bias")]
    table = saved[next(name for name in tables if "origin" in name)]
    origin, dest = (values[name].numpy()[:, 0] for name in ("origin", "dest"))
    # tf.feature_column puts the columns side by side in the order of their names.
    dense = np.concatenate([table[dest], HELD[origin], table[origin]], axis=1)
    hidden = np.tanh(dense @ kernels[0] + kernels[1])
    np.testing.assert_allclose(logits, hidden @ kernels[2] + kernels[3], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("part", "backbone"), [("deep", BACKBONE), ("wide", "linear")])
def test_an_estimator_trains_a_shared_table_by_both_columns(transformed, tmp_path, part, backbone):
    _, saved = estimator(transformed, tmp_path, ["origin_vec", "dest_vec"], part, backbone=backbone)
    (table,) = (value for name, value in saved.items() if name.endswith("embedding_weights"))
    assert moved(table) == "ABDE"


def test_an_estimator_starts_from_the_checkpoint_of_another(transformed, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
    made, saved = estimator(transformed, tmp_path / "first", ["origin_vec", "dest_vec"])
    table = next(name for name in saved if name.endswith("embedding_weights"))
    path = tf.train.latest_checkpoint(str(made.path / "checkpoints" / "estimator"))
    old = {"checkpoint": path, "checkpoint_variable": table, "trainable": False}
    columns = [c | old if c.get("shared") else c for c in transformed.spec.to_dict()["columns"]]
    for column in columns:
        if column.get("shared"):
            del column["initializer"]
    output = with_groups(transformed, tmp_path / "output", {})
    write_json(output.path / "feature_spec.json", transformed.spec.to_dict() | {"columns": columns})
    output = TransformOutput.open(output.path)
    _, again = estimator(output, tmp_path / "second", ["origin_vec", "dest_vec"])
    np.testing.assert_array_equal(again[table], saved[table])
    keras_model = tfloom.train(with_groups(output, tmp_path / "keras", {"deep": ["via_last"]}), tmp_path / "km", TRAIN)
    np.testing.assert_array_equal(weights(keras_model)["columns/towns_table"], saved[table])


@pytest.mark.parametrize(
    ("groups", "what"),
    [
        ({"deep": ["via_last"]}, "columns.via_last: no tf.feature_column pools a sequence"),
        ({"wide": ["origin", "dest_vec"], "deep": ["origin_vec"]},
         "columns.origin_vec.shared: 'dest_vec', which shares 'towns', is in the wide part, and no Estimator has"),
    ],
)  # fmt: skip
def test_what_no_estimator_does(transformed, tmp_path, groups, what):
    output = with_groups(transformed, tmp_path / "groups", groups)
    backbone = {"name": "wide_deep" if "wide" in groups else "dnn", "hidden": [4]}
    with pytest.raises(SpecError) as error:
        tfloom.train(output, tmp_path / "model", TRAIN | {"trainer": "estimator", "backbone": backbone})
    assert error.value.what.startswith(what)
    assert "the trainer keras" in error.value.expected
    assert not list(tmp_path.glob("model*"))


def test_the_model_says_what_it_was_made_of(model):
    written = json.loads((model.path / "feature_spec.json").read_text())["columns"]
    assert [column["name"] for column in written if column.get("shared") == "towns"] == [
        "origin_vec", "dest_vec", "via_vecs"
    ]  # fmt: skip
    assert written[-1]["trainable"] is False
