"""A Keras FeatureSpace, adapted and saved, and the spec that it becomes: the same numbers row by row."""

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs import load_spec
from tfloom.feature_specs.converters import convert
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError

FeatureSpace = keras.utils.FeatureSpace
TRAIN = {
    "age": [1.0, 2, 3, 6], "plain": [1.0, 2, 3, 4], "scaled": [1.0, 2, 3, 4], "binned": [1.0, 2, 3, 4],
    "code": [4, 4, 7, 9], "town": ["b", "a", "b", "c"], "number": [1, 2, 3, 4], "word": ["x", "y", "z", "x"],
    "salted": ["x", "y", "z", "x"], "text": ["a b", "b", "c", "d"], "masked": ["a", "b", "c", "c"],
}  # fmt: skip
ROWS = {
    "age": [3.0, 4.5, -1, 100], "plain": [0.5, -2, 3e8, 0], "scaled": [0.0, 1, 2, -3], "binned": [0.5, 2, 2.5, 9],
    "code": [7, 4, 5, 2**31 - 1], "town": ["a", "zz", "ü", "b"], "number": [0, 5, 2**31 - 1, 3],
    "word": ["x", "ü", "w" * 80, "y"], "salted": ["x", "ü", "w", "y"], "text": ["a", "b", "c", "d"],
    "masked": ["a", "b", "c", "d"],
}  # fmt: skip


def space(output_mode="one_hot"):
    made = FeatureSpace(
        features={
            "age": "float_normalized",
            "plain": "float",
            "scaled": FeatureSpace.float_rescaled(scale=2.0, offset=1.0),
            "binned": FeatureSpace.float_discretized(num_bins=4, output_mode=output_mode),
            "code": FeatureSpace.integer_categorical(output_mode=output_mode),
            "town": FeatureSpace.string_categorical(num_oov_indices=2, output_mode=output_mode),
            "number": FeatureSpace.integer_hashed(7, output_mode=output_mode),
            "word": FeatureSpace.string_hashed(50, output_mode=output_mode),
            "salted": FeatureSpace.feature("string", keras.layers.Hashing(50, salt=[3, 4]), output_mode),
            "text": FeatureSpace.feature("string", keras.layers.TextVectorization(output_mode="count"), "float"),
            "masked": FeatureSpace.feature("string", keras.layers.StringLookup(mask_token=""), output_mode),
        },
        crosses=[
            FeatureSpace.cross(("word", "binned"), 1000, output_mode=output_mode),
            FeatureSpace.cross(("word", "town"), 9, output_mode=output_mode),
            FeatureSpace.cross(("word", "masked"), 9, output_mode=output_mode),
        ],
        output_mode="dict",
    )
    made.adapt(tf.data.Dataset.from_tensor_slices(TRAIN))
    return made


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    path = tmp_path_factory.mktemp("space") / "space.keras"
    space().save(path)
    return path


def test_the_same_numbers(saved, transform, tmp_path):
    (tmp_path / "spec.yaml").write_text(convert("feature_space", str(saved)).to_yaml())
    spec = load_spec(tmp_path / "spec.yaml")
    made = transform(spec, **{name: pa.array(values) for name, values in ROWS.items()})
    values = {
        name: tf.ragged.constant(value, tf.int64).to_tensor(-1) if isinstance(value, list) else value
        for name, value in made.items()
    }
    batch = Encoded(spec.by_name, values, {}, spec.num_buckets({}))
    theirs = keras.models.load_model(saved)({name: tf.constant(values) for name, values in ROWS.items()})
    # Ours are V entries, then what is not among them; Keras has that first: 1 id of it for code, 2 for town.
    order = {"code": [3, 0, 1, 2], "town": [3, 4, 0, 1, 2]}
    compared = []
    for column in spec.model_groups["features"]:
        name = column.name.removesuffix("_indicator")
        ours = batch.feature(column.name).values.numpy()
        if name == "age":
            ours = (ours - 3) / np.sqrt(3.5)
        if name == "scaled":
            ours = ours * 2 + 1
        ours = ours[:, order[name]] if name in order else ours
        np.testing.assert_allclose(ours, theirs[name], rtol=1e-6, err_msg=name)
        compared.append(name)
    assert compared == [
        "age", "binned", "code", "number", "plain", "salted", "scaled", "town", "word", "word_X_binned"
    ]  # fmt: skip


def test_what_it_has_learned_is_written(saved):
    draft = convert("feature_space", saved)
    columns = draft.spec.by_name
    assert columns["binned"].boundaries == (1, 2, 3)
    assert columns["code"].vocabulary[0] == 4
    assert (columns["town"].vocabulary[0], sorted(columns["town"].vocabulary)) == ("b", ["a", "b", "c"])
    assert draft.left_out == {
        "age.mean": "the number is not scaled, to (x - 3) / sqrt(3.5); scale: z_score learns both anew",
        "masked": "its mask_token, '', cannot be said",
        "scaled.scale": "the number is not scaled, to x * 2.0 + 1.0",
        "text": "there is no kind for TextVectorization",
        "word_X_masked": "of masked, which has no ids here",
        "word_X_town": "of town, whose ids are in another order here",
    }


def test_ids_where_they_are_not_one_hot():
    draft = convert("feature_space", space("int"))
    assert draft.spec.groups["features"] == (
        "age", "binned", "code", "number", "plain", "salted", "scaled", "town", "word", "word_X_binned"
    )  # fmt: skip


def test_integers_with_several_buckets_of_what_is_not_known():
    made = FeatureSpace({"x": "float", "code": FeatureSpace.integer_categorical(num_oov_indices=2)})
    made.adapt(tf.data.Dataset.from_tensor_slices({"x": [1.0], "code": [4]}))
    told = convert("feature_space", made).left_out
    assert told == {"code": "its num_oov_indices, 2, cannot be said of integers: it takes them mod 2"}


@pytest.mark.parametrize("name", ["absent.keras", "broken.keras"])
def test_a_file_that_is_none(tmp_path, name):
    (tmp_path / "broken.keras").write_text("no zip")
    with pytest.raises(SpecError) as error:
        convert("feature_space", tmp_path / name)
    assert error.value.what == f"{tmp_path / name}: cannot be loaded"
    assert error.value.received


def test_another_layer_than_a_feature_space():
    with pytest.raises(SpecError) as error:
        convert("feature_space", keras.layers.Dense(1))
    assert error.value.what == "convert: is no FeatureSpace"
    assert error.value.received == "Dense"
