"""A trained canned Estimator and the Keras model that it becomes: the same predictions for the same raw rows."""

import json
import shutil
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs import FeatureSpec
from tfloom.feature_specs.directories import TransformOutput, write_json
from tfloom.feature_specs.errors import ArtefactError, SpecError
from tfloom.trainers import predictor
from tfloom.trainers.estimator_bridge import load_estimator
from tfloom.trainers.estimator_bridge import tf as old
from tfloom.trainers.export import golden_rows

fc = tf.feature_column
ROWS = 240
TASKS = {
    "rich": {"name": "rich", "source": "y", "above": 0},
    "price": {"name": "price", "source": "y"},
    "size": {"name": "size", "classes": ["small", "middle", "large"]},
    "answer": {"name": "answer", "classes": ["no", "yes"]},
}


def rows():
    """Ages and hours in tens; towns out of the vocabulary and absent ones, no tag or several; gains above 1,000."""
    rng = np.random.default_rng(3)
    y = rng.normal(size=ROWS).astype(np.float32)
    return {
        "age": (rng.integers(17, 80, ROWS) / 10).astype(np.float32),
        "hours": (4 + y / 2 + rng.normal(size=ROWS) / 10).astype(np.float32),
        "gain": np.where(y > 0.5, 1_000 * y, 0).astype(np.float32),
        "town": rng.choice(["Oslo", "Bergen", "Molde", "Vadsø", None], ROWS).tolist(),
        "job": np.where(y > 0, rng.choice(["cook", "smith"], ROWS), "baker"),
        "kids": rng.integers(0, 4, ROWS),
        "year": rng.choice([1999, 2000, 2001], ROWS),
        "tags": [["rain", "snow", "rain"][: i % 4] for i in range(ROWS)],
        "y": y,
        "size": np.where(y < -0.5, "small", np.where(y < 0.5, "middle", "large")),
        "answer": np.where(y > 0, "yes", "no"),
    }


def columns():
    """The deep ones in another order than that of their names, in which an Estimator has them."""
    age, hours = fc.numeric_column("age"), fc.numeric_column("hours")
    town = fc.categorical_column_with_vocabulary_list("town", ["Oslo", "Bergen"], num_oov_buckets=2)
    job = fc.categorical_column_with_hash_bucket("job", 20)
    tags = fc.categorical_column_with_hash_bucket("tags", 5)
    kids = fc.categorical_column_with_identity("kids", 4)
    ages = fc.bucketized_column(age, [2.5, 4, 6])
    wide = [
        hours,
        ages,
        fc.categorical_column_with_vocabulary_list("year", [2000, 1999]),
        town,
        tags,
        fc.crossed_column([ages, "town"], 50),
        fc.crossed_column(["town", "job"], 30),
        fc.indicator_column(kids),
    ]
    deep = [
        hours,
        fc.embedding_column(tags, 2, combiner="sqrtn"),
        fc.indicator_column(town),
        fc.numeric_column("gain", normalizer_fn=tf.math.log1p),
        ages,
        fc.embedding_column(job, 3),
        age,
        fc.embedding_column(kids, 2, max_norm=0.5),
    ]
    return wide, deep


def read():
    return fc.make_parse_example_spec([column for part in columns() for column in part])


@cache
def examples():
    """The raw rows as a client sends them."""
    data, result = rows(), []
    for i in range(ROWS):
        features = {}
        for name, one in read().items():
            value = data[name][i]
            values = [] if value is None else value if isinstance(value, list) else [value]
            if one.dtype == tf.string:
                told = {"bytes_list": tf.train.BytesList(value=[text.encode() for text in values])}
            elif one.dtype == tf.int64:
                told = {"int64_list": tf.train.Int64List(value=values)}
            else:
                told = {"float_list": tf.train.FloatList(value=values)}
            features[name] = tf.train.Feature(**told)
        result.append(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
    return result


def learned(estimator, label):
    """Some steps on all rows at once."""
    targets = rows()["y"] if label == "price" else rows()["y"] > 0 if label == "rich" else rows()[label]

    def input_fn():
        parsed = tf.io.parse_example(tf.constant(examples()), read())
        return tf.data.Dataset.from_tensors((parsed, targets.reshape(-1, 1))).repeat()

    estimator.train(input_fn, steps=20)
    return estimator


def exported(estimator, folder):
    receiver = load_estimator().export.build_parsing_serving_input_receiver_fn(read())
    return Path(estimator.export_saved_model(str(folder), receiver).decode())


def estimator(backbone, label, model_dir, module=None, **more):
    wide, deep = columns()
    prefixes = {"Linear": ("", None), "DNN": (None, ""), "DNNLinearCombined": ("linear_", "dnn_")}[backbone]
    arguments = {}
    for prefix, of_part, optimizer in zip(prefixes, (wide, deep), ("Ftrl", "Adam"), strict=True):
        if prefix is not None:
            arguments |= {f"{prefix}feature_columns": of_part, f"{prefix}optimizer": optimizer}
    if prefixes[1] is not None:
        arguments[f"{prefixes[1]}hidden_units"] = [8, 4]
    if label in ("size", "answer"):
        vocabulary = TASKS[label]["classes"]
        arguments |= {"n_classes": len(vocabulary), "label_vocabulary": vocabulary}
    cls = getattr(module or load_estimator(), backbone + ("Regressor" if label == "price" else "Classifier"))
    config = load_estimator().RunConfig(model_dir=str(model_dir), tf_random_seed=1)
    return learned(cls(config=config, **arguments | more), label)


@pytest.fixture(scope="module")
def transformed(tmp_path_factory):
    """By the spec as it is written, and then by hand: a column that cannot be said, and that there are several tags."""
    folder = tmp_path_factory.mktemp("from_estimator")
    trained = estimator("DNNLinearCombined", "rich", folder / "model")
    draft = tfloom.estimator_spec(folder / "model", columns, TASKS["rich"])
    assert draft.left_out == {"gain": "its normalizer_fn, log1p, cannot be said"}
    assert trained.model_dir == str(folder / "model")
    told = draft.spec.to_dict()
    told["columns"].append({"name": "gain", "kind": "numeric", "log1p": True})
    told["groups"]["deep"].append("gain")
    told["inputs"]["tags"] |= {"multi_valued": True}
    told["labels"] += [TASKS[name] for name in ("price", "size", "answer")]
    return tfloom.preprocess(FeatureSpec.model_validate(told), table(), folder / "transformed")


def table():
    lists = pa.array(rows()["tags"], pa.list_(pa.string()))
    return pa.table({name: lists if name == "tags" else pa.array(values) for name, values in rows().items()})


def assert_equal(told, expected):
    """To 1e-6; logits, whose terms are larger than they, to 5e-6."""
    assert expected.keys() - told.keys() <= {"all_class_ids", "all_classes"}
    for name in told:
        if told[name].dtype.kind == "f":
            atol = 5e-6 if name == "logits" else 1e-6
            np.testing.assert_allclose(told[name], expected[name], rtol=1e-6, atol=atol, err_msg=name)
        else:
            np.testing.assert_array_equal(told[name], expected[name], err_msg=name)


def predicted(path, signature, of):
    told = tf.saved_model.load(str(path)).signatures[signature](examples=tf.constant(of))
    return {name: value.numpy() for name, value in told.items()}


@pytest.mark.parametrize("label", TASKS)
@pytest.mark.parametrize("backbone", ["Linear", "DNN", "DNNLinearCombined"])
def test_predictions_are_the_estimators(transformed, tmp_path, backbone, label):
    trained = estimator(backbone, label, tmp_path / "estimator")
    saved_model = exported(trained, tmp_path / "saved_model")
    expected = predicted(saved_model, "predict", examples())
    assert np.ptp(expected["predictions" if label == "price" else "logits"], axis=0).min() > 0.1

    converted = tfloom.convert_estimator(trained.model_dir, columns, transformed, tmp_path / "model", label=label)
    assert converted.left_out == {}
    assert converted.difference is None
    assert {"global_step", f"training/{'Ftrl' if backbone == 'Linear' else 'Adam'}/learning_rate"} <= {
        *converted.of_training
    }
    materialised = golden_rows(transformed, ROWS)[1]
    order = origins(transformed)
    assert_equal(
        predictor.of_model(converted.model)(materialised), {name: value[order] for name, value in expected.items()}
    )

    # From the SavedModel, whose predictions are compared on the way, the same model comes.
    again = tfloom.convert_estimator(saved_model, columns, transformed, tmp_path / "again", label=label)
    assert again.left_out == {}
    assert again.of_training == ("global_step",)
    assert again.difference < 2e-6
    for name, value in weights(converted.model).items():
        np.testing.assert_array_equal(weights(again.model)[name], value)


def origins(output):
    """The index among the raw rows of each of golden_rows, by what no two rows share."""
    parsed, _ = golden_rows(output, ROWS)
    hours = rows()["hours"].tolist()
    return [hours.index(value) for (value,) in parsed.column("hours").to_pylist()]


def weights(model):
    with np.load(model.path / "checkpoints" / "best" / "variables.npz") as arrays:
        return {name.partition(" ")[0]: arrays[name] for name in arrays.files}


@pytest.mark.parametrize(("backbone", "label"), [("Linear", "price"), ("DNN", "size"), ("DNNLinearCombined", "rich")])
def test_what_is_served_is_the_estimators(transformed, tmp_path, backbone, label):
    trained = estimator(backbone, label, tmp_path / "estimator")
    expected = predicted(exported(trained, tmp_path / "saved_model"), "predict", examples())
    converted = tfloom.convert_estimator(trained.model_dir, columns, transformed, tmp_path / "model", label=label)

    made = tfloom.export(converted.model, tmp_path / "export")
    assert_equal(predicted(made.path, "serving_examples", examples()), expected)
    name = "predictions" if label == "price" else "probabilities"
    scores = tfloom.predict(made, table()).column(name).to_pylist()
    np.testing.assert_allclose(np.reshape(scores, expected[name].shape), expected[name], rtol=1e-6, atol=1e-6)

    told = tfloom.evaluate(converted.model, table())
    judged = trained.evaluate(lambda: batch(label), steps=1)
    theirs, ours = {"price": ("label/mean", "label/mean"), "size": ("accuracy",) * 2, "rich": ("accuracy",) * 2}[label]
    assert told[ours] == pytest.approx(judged[theirs], abs=1e-6)


def batch(label):
    targets = rows()["y"] if label == "price" else rows()["y"] > 0 if label == "rich" else rows()[label]
    return tf.data.Dataset.from_tensors((tf.io.parse_example(tf.constant(examples()), read()), targets.reshape(-1, 1)))


@pytest.fixture(scope="module")
def oldest(tmp_path_factory):
    """As tf.compat.v1.estimator has it, its variables partitioned, with batch normalization and another activation."""
    v1 = old.compat.v1
    return estimator(
        "DNNLinearCombined",
        "rich",
        tmp_path_factory.mktemp("oldest"),
        module=v1.estimator,
        input_layer_partitioner=v1.fixed_size_partitioner(2),
        batch_norm=True,
        dnn_activation_fn=tf.tanh,
    )


def test_of_tensorflow_1(oldest, transformed, tmp_path):
    saved_model = exported(oldest, tmp_path / "saved_model")
    converted = tfloom.convert_estimator(
        oldest.model_dir, columns, transformed, tmp_path / "model", activation="tanh", label="rich"
    )
    assert converted.left_out == {}
    slots = {"dnn/hiddenlayer_0/kernel/Adam_1", "linear/linear_model/hours/weights/Ftrl", "global_step"}
    assert slots <= {*converted.of_training}
    assert any(name.endswith("beta1_power") for name in converted.of_training)
    expected = predicted(saved_model, "predict", examples())
    told = predictor.of_model(converted.model)(golden_rows(transformed, ROWS)[1])
    assert_equal(told, {name: value[origins(transformed)] for name, value in expected.items()})

    # With another activation it is another model, and that is told.
    other = tfloom.convert_estimator(saved_model, columns, transformed, tmp_path / "other", label="rich")
    assert other.difference > 1e-3


def with_planted(model_dir, folder, **planted):
    """A checkpoint with more variables, or with others in their place."""
    reader = tf.train.load_checkpoint(model_dir)
    values = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()} | planted
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        made = {name: tf.compat.v1.Variable(value) for name, value in values.items()}
        session.run(tf.compat.v1.global_variables_initializer())
        return Path(tf.compat.v1.train.Saver(made).save(session, str(folder / "planted")))


def test_what_has_no_place_is_listed(oldest, transformed, tmp_path):
    source = with_planted(oldest.model_dir, tmp_path, **{"dnn/attention/kernel": np.ones((3, 2), np.float32)})
    converted = tfloom.convert_estimator(source, columns, transformed, tmp_path / "model", label="rich")
    assert converted.left_out == {"dnn/attention/kernel": "of shape (3, 2), it has no place in the model"}


def without(transformed, folder, **of_group):
    """The transform output of a spec without some columns in a group."""
    told = json.loads((transformed.path / "feature_spec.json").read_text())
    for group, names in of_group.items():
        told["groups"][group] = [name for name in told["groups"][group] if name not in names]
    shutil.copytree(transformed.path, folder)
    write_json(folder / "feature_spec.json", told)
    return TransformOutput.open(folder)


def test_what_the_spec_does_not_have_is_listed(transformed, tmp_path):
    trained = estimator("DNNLinearCombined", "rich", tmp_path / "estimator")
    saved_model = exported(trained, tmp_path / "saved_model")
    fewer = without(transformed, tmp_path / "fewer", wide=["job_X_town"], deep=["gain", "job_embedding"])
    converted = tfloom.convert_estimator(saved_model, columns, fewer, tmp_path / "model", label="rich")
    absent = "the spec has no such column in this part"
    # The columns by name: age 1, age_bucketized 4, gain 1, hours 1, job_embedding 3, ...
    assert converted.left_out == {
        "dnn/input_from_feature_columns/input_layer/job_embedding/embedding_weights": f"of job_embedding: {absent}",
        "linear/linear_model/job_X_town/weights": f"of job_X_town: {absent}",
        "dnn/hiddenlayer_0/kernel[5:6]": "of gain: its normalizer_fn, log1p, cannot be said",
        "dnn/hiddenlayer_0/kernel[7:10]": f"of job_embedding: {absent}",
    }
    assert converted.difference > 1e-3


def test_the_spec_of_a_single_part(oldest, transformed, tmp_path):
    """A plain list is of the only part; buckets of a dnn are an indicator of them."""
    trained = estimator("DNN", "price", tmp_path / "estimator")
    draft = tfloom.estimator_spec(trained.model_dir, columns()[1])
    assert [*draft.spec.groups] == ["deep"]
    assert "age_bucketized_indicator" in draft.spec.groups["deep"]
    assert draft.spec.labels == ()
    draft = tfloom.estimator_spec(oldest.model_dir, columns(), {"name": "rich", "positive": "yes"})
    assert [*draft.spec.groups] == ["wide", "deep"]
    assert "age_bucketized" in draft.spec.groups["wide"]
    assert draft.spec.label().positive == "yes"


def in_both_parts():
    return [[fc.embedding_column(fc.categorical_column_with_identity("kids", 4), 2)]] * 2


def test_an_embedding_of_both_parts_has_one_table(tmp_path):
    part, _ = in_both_parts()
    trained = load_estimator().DNNLinearCombinedRegressor(
        model_dir=str(tmp_path / "estimator"), linear_feature_columns=part, dnn_feature_columns=part,
        dnn_hidden_units=[2],
    )  # fmt: skip
    trained.train(lambda: tf.data.Dataset.from_tensors(({"kids": rows()["kids"][:, None]}, rows()["y"][:, None])))
    draft = tfloom.estimator_spec(trained.model_dir, in_both_parts, {"name": "price", "source": "y"})
    output = tfloom.preprocess(draft.spec, table(), tmp_path / "transformed")
    converted = tfloom.convert_estimator(trained.model_dir, in_both_parts, output, tmp_path / "model")
    layers = "linear/linear_model", "dnn/input_from_feature_columns/input_layer"
    one, other = (f"{layer}/kids_embedding/embedding_weights" for layer in layers)
    assert converted.left_out == {other: f"the column kids_embedding has one table, and that is {one}"}


def sharing(of_version):
    """A weighted column in both parts, and in the deep one two that share a table, as TensorFlow 1 or 2 makes them."""

    def build():
        town = fc.categorical_column_with_vocabulary_list("town", ["Oslo", "Bergen"], num_oov_buckets=1)
        job = fc.categorical_column_with_vocabulary_list("job", ["cook", "smith"], num_oov_buckets=1)
        kids = fc.weighted_categorical_column(fc.categorical_column_with_identity("kids", 4), "age")
        made = {1: tf.compat.v1.feature_column.shared_embedding_columns, 2: fc.shared_embeddings}[of_version]
        return [kids], [*made([town, job], 2), fc.numeric_column("hours"), fc.embedding_column(kids, 2)]

    return build


@pytest.mark.parametrize(
    ("of_version", "module"),
    [(1, lambda: old.compat.v1.estimator), (2, lambda: old.compat.v1.estimator), (2, load_estimator)],
)
def test_weights_and_a_table_that_columns_share(tmp_path, of_version, module):
    build, data = sharing(of_version), rows()
    with tf.Graph().as_default():
        wide, deep = build()
    read = {name: np.reshape([one or "" for one in data[name]], [-1, 1]) for name in ("town", "job")}
    read |= {name: np.reshape(data[name], [-1, 1]) for name in ("kids", "age", "hours")}
    trained = module().DNNLinearCombinedRegressor(
        model_dir=str(tmp_path / "estimator"), linear_feature_columns=wide, dnn_feature_columns=deep,
        dnn_hidden_units=[4],
    )  # fmt: skip
    trained.train(lambda: tf.data.Dataset.from_tensors((read, data["y"][:, None])).repeat(), steps=20)
    expected = np.concatenate(
        [one["predictions"] for one in trained.predict(lambda: tf.data.Dataset.from_tensors(read))]
    )
    assert np.ptp(expected) > 0.1

    draft = tfloom.estimator_spec(trained.model_dir, build, {"name": "price", "source": "y"})
    assert draft.left_out == {}
    output = tfloom.preprocess(draft.spec, table(), tmp_path / "transformed")
    converted = tfloom.convert_estimator(trained.model_dir, build, output, tmp_path / "model")
    assert converted.left_out == {}
    told = predictor.of_model(converted.model)(golden_rows(output, ROWS)[1])["predictions"]
    np.testing.assert_allclose(told[:, 0], expected[origins(output)], rtol=1e-6, atol=1e-6)


def fewer_columns():
    wide, deep = columns()
    return wide, deep[1:]


def more_columns():
    wide, deep = columns()
    return [*wide, fc.categorical_column_with_identity("kids", 4)], deep


def other_columns():
    wide, deep = columns()
    town = fc.categorical_column_with_vocabulary_list("town", ["Oslo", "Bergen"], num_oov_buckets=3)
    return wide, [fc.indicator_column(town) if column.name == "town_indicator" else column for column in deep]


@pytest.mark.parametrize(
    ("of", "label", "what"),
    [
        (lambda: columns()[0], "rich", "convert: the columns are not those of each part of the Estimator"),
        (fewer_columns, "rich", "columns.hours: the deep part of the Estimator has no such column"),
        (more_columns, "rich", "the Estimator has no variable linear/linear_model/kids/weights"),
        (other_columns, "rich", "the columns of the dnn part are not those of dnn/hiddenlayer_0/kernel"),
        (columns, "size", "labels.size: is not what the Estimator learned"),
        (columns, None, "labels: not exactly one"),
    ],
)
def test_other_columns_and_labels_are_refused(oldest, transformed, tmp_path, of, label, what):
    with pytest.raises(SpecError) as error:
        tfloom.convert_estimator(oldest.model_dir, of, transformed, tmp_path / "model", label=label)
    assert error.value.what == what
    assert error.value.expected
    assert error.value.received
    assert list(tmp_path.iterdir()) == []


def test_an_activation_that_is_none(oldest, transformed, tmp_path):
    with pytest.raises(SpecError) as error:
        tfloom.convert_estimator(
            oldest.model_dir, columns, transformed, tmp_path / "model", activation="tann", label="rich"
        )
    assert error.value.what == "convert: backbone.activation: is not right"


@pytest.mark.parametrize(
    ("made", "what"), [(False, "estimator: holds no checkpoint"), (True, "estimator: is no checkpoint of a canned")]
)
def test_what_is_no_estimator(transformed, tmp_path, made, what):
    source = tmp_path / "estimator"
    if made:
        tf.train.Checkpoint(step=tf.Variable(1)).save(str(source / "ckpt"))
    with pytest.raises(ArtefactError) as error:
        tfloom.convert_estimator(source, columns, transformed, tmp_path / "model", label="rich")
    assert what in error.value.what
    assert error.value.received


def test_a_model_that_is_there_is_kept(oldest, transformed, tmp_path):
    arguments = oldest.model_dir, columns, transformed, tmp_path / "model"
    tfloom.convert_estimator(*arguments, label="rich")
    with pytest.raises(ArtefactError, match="is there already"):
        tfloom.convert_estimator(*arguments, label="rich")
    tfloom.convert_estimator(*arguments, label="rich", overwrite=True)
