"""tf.feature_columns and the spec that they become: the same numbers for the same rows."""

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tf_keras
from tensorflow.python.feature_column.feature_column_v2 import SequenceCategoricalColumn

from tests.feature_specs.columns.contract import input_layer
from tests.trainers import census_program
from tfloom.feature_specs import load_spec
from tfloom.feature_specs.converters import convert
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError

fc = tf.feature_column
IDS = fc.categorical_column_with_identity("i", 3)
ROWS = {
    "age": [17.0, 18, 30.5, 64.9, 65, 90],
    "education": ["Bachelors", "11th", "", "PhD", "Masters", "11th"],
    "job": ["a", "b", "", "ü", "b", "long " * 20],
    "year": [1999, 2000, -1, 2**40, 2001, 0],
    "id": [0, 4, 5, -1, 2, -2],
}


def columns():
    age, job = fc.numeric_column("age"), fc.categorical_column_with_hash_bucket("job", 7)
    education = fc.categorical_column_with_vocabulary_list("education", ["Bachelors", "Masters"], num_oov_buckets=2)
    year = fc.categorical_column_with_vocabulary_list("year", [2000, 1999])
    ages = fc.bucketized_column(age, [18, 30.5, 65])
    return {
        "wide": [
            ages,
            education,
            year,
            fc.categorical_column_with_hash_bucket("year", 5, tf.int64),
            fc.categorical_column_with_identity("id", 5, default_value=1),
            fc.crossed_column(["education", "job"], 100),
            fc.crossed_column([ages, "job", education], 1000),
        ],
        "deep": [age, fc.indicator_column(job), fc.embedding_column(year, 3, combiner="sum", max_norm=0.5)],
    }


@pytest.fixture
def written(tmp_path):
    """What convert writes, read again."""
    draft = convert("feature_columns", columns)
    assert draft.left_out == {}
    (tmp_path / "spec.yaml").write_text(draft.to_yaml())
    return load_spec(tmp_path / "spec.yaml")


def test_the_same_numbers(written, transform):
    rng = np.random.default_rng(5)
    made = transform(written, **{name: pa.array(values) for name, values in ROWS.items()})
    num_buckets = written.num_buckets({})
    values = {
        name: tf.ragged.constant(value, tf.int64).to_tensor(-1) if isinstance(value, list) else value
        for name, value in made.items()
    }
    compared = 0
    for theirs, ours in zip(
        [c for group in columns().values() for c in group],
        [c for group in written.model_groups.values() for c in group],
        strict=True,
    ):
        tables = {n: rng.normal(size=v.shape).astype(np.float32) for n, v in ours.variables(num_buckets).items()}
        variables = {ours.name: {n: tf.constant(table) for n, table in tables.items()}}
        feature = Encoded(written.by_name, values, variables, num_buckets).feature(ours.name)
        expected = input_layer(theirs, features(theirs), tables.get("table"))
        told = (
            feature.values
            if hasattr(feature, "values")
            else tf.reduce_sum(tf.one_hot(feature.ids, feature.num_buckets), 1)
        )
        np.testing.assert_allclose(told, expected, rtol=1e-6, err_msg=ours.name)
        compared += expected.size
    assert compared > 6_000


def features(column):
    """Dense, as an input_fn over CSV gives them; the strings of a cross sparse, as parsed tf.Examples are.

    (TensorFlow takes the dense parts of a cross after the sparse ones, whatever their order.)
    """
    raw = [key for key in getattr(column, "keys", ()) if isinstance(key, str)]
    return {
        name: tf.compat.v1.SparseTensorValue([[i, 0] for i in range(6)], ROWS[name], [6, 1])
        if name in raw
        else np.array(ROWS[name])[:, None]
        for name in fc.make_parse_example_spec([column])
    }


def test_names_and_dtypes(written):
    assert [c.name for c in written.columns] == [
        "age_bucketized", "education", "year", "year_hashed", "id", "education_X_job",
        "age_bucketized_X_education_X_job", "age", "job", "job_indicator", "year_embedding",
    ]  # fmt: skip
    assert {name: one.dtype for name, one in written.inputs.items()} == {
        "education": "string", "year": "int64", "id": "int64", "job": "string"
    }  # fmt: skip
    assert written.groups["deep"] == ("age", "job_indicator", "year_embedding")


def test_the_shapes_of_numbers():
    spec = convert("feature_columns", [
        fc.numeric_column("plain"),
        fc.numeric_column("vector", shape=3),
        fc.numeric_column("axes", shape=(1, 2), default_value=[[1, 2]]),
        fc.numeric_column("alike", shape=(2,), default_value=1.5),
        fc.bucketized_column(fc.numeric_column("pair", shape=(2,), default_value=float("nan")), [0, 1]),
    ]).spec  # fmt: skip
    assert [column.model_dump(include={"shape", "missing"}, exclude_defaults=True) for column in spec.columns] == [
        {}, {"shape": 3}, {"shape": (1, 2), "missing": (1, 2)}, {"shape": 2, "missing": 1.5}, {"shape": 2}
    ]  # fmt: skip
    assert {name: one.multi_valued for name, one in spec.inputs.items()} == dict.fromkeys(
        ("vector", "axes", "alike", "pair"), True
    )


def test_a_program_with_a_wide_and_a_deep_part():
    draft = convert("feature_columns", "tests.trainers.census_program:build_model_columns")
    wide, deep = census_program.build_model_columns()
    assert (len(draft.spec.groups["wide"]), len(draft.spec.groups["deep"])) == (len(wide), len(deep) - 1)
    assert draft.left_out == {"capital_gain": "its normalizer_fn, log1p, cannot be said"}
    assert "#   capital_gain: its normalizer_fn, log1p, cannot be said\n" in draft.to_yaml()


@pytest.mark.parametrize(
    ("column", "why"),
    [
        (lambda: fc.numeric_column("x", shape=(3,), normalizer_fn=abs), "its normalizer_fn, abs, cannot be said"),
        (lambda: fc.bucketized_column(fc.numeric_column("x", 2, default_value=[float("nan"), 1.0]), [2]),
         "its default_value, (nan, 1.0), cannot be said"),
        (lambda: fc.bucketized_column(fc.numeric_column("x", default_value=1.0), [2]),
         "its default_value, (1.0,), cannot be said"),
        (lambda: fc.weighted_categorical_column(fc.crossed_column(["x", "y"], 9), "w"),
         "its weights are of a column that is crossed, without an id for each value of an input"),
        (lambda: fc.embedding_column(fc.weighted_categorical_column(IDS, "age"), 2),
         "of i_weighted_by_age: it reads age as float32, another column as int64"),
        (lambda: fc.sequence_categorical_column_with_identity("s", 4),
         "its ids are steps, which an embedding_column or an indicator_column of it reads"),
        (lambda: fc.indicator_column(SequenceCategoricalColumn(fc.weighted_categorical_column(IDS, "w"))),
         "of i_weighted_by_w: its ids have weights, and a step is an id alone"),
        (lambda: fc.sequence_numeric_column("n", normalizer_fn=abs), "its normalizer_fn, abs, cannot be said"),
        (lambda: fc.categorical_column_with_hash_bucket("age", 3), "it reads age as string, another column as int64"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_listed(column, why):
    kept = fc.categorical_column_with_identity("age", 100)
    draft = convert("feature_columns", [kept, column()])
    assert [c.name for c in draft.spec.columns] == ["age"]
    assert list(draft.left_out.values()) == [why]


def test_what_cannot_be_said_leaves_nothing_of_what_it_is_made_of():
    kept = fc.weighted_categorical_column(fc.categorical_column_with_identity("kept", 3), "w")
    other = fc.embedding_column(fc.weighted_categorical_column(IDS, "w"), 2)
    draft = convert("feature_columns", [kept, other])
    assert [c.name for c in draft.spec.columns] == ["kept", "kept_weighted_by_w"]
    assert draft.spec.inputs.keys() == {"kept", "w"}
    assert draft.left_out == {"i_weighted_by_w_embedding": "of i_weighted_by_w: its weights, w, weigh kept too"}


LISTS = {
    "seen": [["a", "b"], ["z", "a", "a"], [], ["b"]],
    "last": [["b"], ["a", "z"], ["a", "a"], []],
    "amounts": [[0.5, 2.0], [1.0, -1.0, 3.0], [], [0.0]],
    "track": [[1.0, 2.0, 3.0, 4.0], [5.0, 6.0], [], [7.0, 8.0]],
}
TABLE = np.array([[3, 4], [0, -1], [-12, 5]], np.float32)


def lists(initializer=None):
    """Weights, tables that are shared and sequences; the names of groups say how TensorFlow reads them."""
    of = {"num_oov_buckets": 1}
    seen = fc.categorical_column_with_vocabulary_list("seen", ["a", "b"], **of)
    last = fc.categorical_column_with_vocabulary_list("last", ["a", "b"], **of)
    steps = fc.sequence_categorical_column_with_vocabulary_list("seen", ["a", "b"], **of)
    weighed = fc.weighted_categorical_column(seen, "amounts")
    shared = {"dimension": 2, "initializer": initializer}
    with_last = fc.shared_embeddings([last, steps], combiner="sum", max_norm=2.6, **shared)
    return {
        "old": [
            weighed,
            *tf.compat.v1.feature_column.shared_embedding_columns(
                [seen, last], combiner="sqrtn", shared_embedding_collection_name="the/table", **shared
            ),
        ],
        "dense": [
            fc.indicator_column(weighed),
            *(fc.embedding_column(weighed, 2, how, initializer) for how in ("mean", "sum", "sqrtn")),
            with_last[0],
        ],
        "sequence": [
            with_last[1],
            fc.embedding_column(steps, 2, initializer=initializer),
            fc.indicator_column(steps),
            fc.sequence_numeric_column("track", 2, default_value=-1.0),
        ],
    }


def in_tensorflow():
    """By group the values of its columns; those of a sequence with its lengths."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        fed = {name: tf.ragged.constant(rows).to_sparse() for name, rows in LISTS.items()}
        columns = lists(tf.compat.v1.constant_initializer(TABLE))
        old = [c if hasattr(c, "dimension") else fc.indicator_column(c) for c in columns["old"]]
        told = {
            "old": [tf.compat.v1.feature_column.input_layer(fed, [column]) for column in old],
            "dense": [tf_keras.layers.DenseFeatures([column])(fed) for column in columns["dense"]],
            "sequence": [tf_keras.experimental.SequenceFeatures([column])(fed) for column in columns["sequence"]],
        }
        session.run([tf.compat.v1.global_variables_initializer(), tf.compat.v1.tables_initializer()])
        return session.run(told)


def test_the_same_numbers_of_weights_shared_tables_and_steps(transform, tmp_path):
    draft = convert("feature_columns", lists)
    assert draft.left_out == {}
    (tmp_path / "spec.yaml").write_text(draft.to_yaml())
    spec = load_spec(tmp_path / "spec.yaml")
    made = transform(spec, **{name: pa.array(rows) for name, rows in LISTS.items()})
    values = {
        name: tf.ragged.constant(value, tf.int64 if name in ("seen", "last") else tf.float32, ragged_rank=1).to_tensor(
            -1 if name in ("seen", "last") else np.nan
        )
        for name, value in made.items()
    }
    num_buckets = spec.num_buckets({})
    variables = {
        column.name: {name: tf.constant(TABLE) for name in column.variables(num_buckets)} for column in spec.columns
    }
    encoded = Encoded(spec.by_name, values, variables, num_buckets)
    for group, expected in in_tensorflow().items():
        for column, theirs in zip(spec.model_groups[group], expected, strict=True):
            feature = encoded.feature(column.name)
            if group == "sequence":
                steps, lengths = theirs
                np.testing.assert_array_equal(feature.mask, tf.sequence_mask(lengths))
                np.testing.assert_allclose(feature.values, steps, rtol=1e-6, err_msg=column.name)
                continue
            told = (
                feature.values
                if hasattr(feature, "values")
                else tf.reduce_sum(tf.one_hot(feature.ids, feature.num_buckets) * feature.weights[..., None], 1)
            )
            np.testing.assert_allclose(told, theirs, rtol=1e-6, atol=1e-7, err_msg=column.name)


def test_columns_share_a_table_and_inputs_of_steps_hold_several_values():
    spec = convert("feature_columns", lists).spec
    shared = {column.name: column.shared for column in spec.columns if getattr(column, "shared", None)}
    assert shared == {
        "seen_shared_embedding": "the_table", "last_shared_embedding": "the_table",
        "last_shared_embedding_embedded": "last_seen_shared_embedding",
        "seen_shared_embedding_sequence_embedded": "last_seen_shared_embedding",
    }  # fmt: skip
    assert spec.by_name["seen_weighted_by_amounts"].weights == "amounts"
    assert {name: (one.dtype, one.multi_valued) for name, one in spec.inputs.items()} == {
        "seen": ("string", True), "amounts": ("float32", False), "last": ("string", False), "track": ("float32", True),
    }  # fmt: skip


def test_a_name_of_two_tables_is_one_of_the_first():
    def columns():
        shared = tf.compat.v1.feature_column.shared_embedding_columns
        other = fc.categorical_column_with_identity("j", 3)
        return [*shared([IDS], 2, shared_embedding_collection_name="t"),
                *shared([other], 3, shared_embedding_collection_name="t")]  # fmt: skip

    draft = convert("feature_columns", columns)
    assert [c.name for c in draft.spec.columns] == ["i", "i_shared_embedding"]
    assert draft.left_out == {"j_shared_embedding": "it shares the table t, of which another column says another thing"}


initializers = tf.compat.v1.initializers


@pytest.mark.parametrize(
    ("initializer", "said"),
    [
        (None, {}),
        (initializers.truncated_normal(stddev=0.5), {}),  # 1 / sqrt(4)
        (initializers.truncated_normal(stddev=0.1), {"name": "truncated_normal", "mean": 0, "stddev": 0.1}),
        (initializers.truncated_normal(1, 0.5), {"name": "truncated_normal", "mean": 1, "stddev": 0.5}),
        (initializers.random_normal(0, 0.5), {"name": "random_normal", "mean": 0, "stddev": 0.5}),
        (initializers.random_uniform(-1, 2), {"name": "random_uniform", "minval": -1, "maxval": 2}),
        (initializers.constant(3), {"name": "constant", "value": 3}),
        (initializers.zeros(), {"name": "zeros"}),
        (tf_keras.initializers.RandomUniform(), {"name": "random_uniform", "minval": -0.05, "maxval": 0.05}),
        (keras.initializers.TruncatedNormal(), {"name": "truncated_normal", "mean": 0, "stddev": 0.05}),
    ],
)
def test_how_a_table_starts(initializer, said):
    draft = convert("feature_columns", [fc.embedding_column(IDS, 4, initializer=initializer)])
    assert draft.left_out == {}
    told = draft.spec.by_name["i_embedding"].initializer
    assert (told.model_dump() if told else {}) == said


@pytest.mark.parametrize(
    ("fields", "left_out"),
    [
        ({"initializer": initializers.variance_scaling()},
         {"initializer": "VarianceScaling cannot be said, a table starts as embedding_column's own default has it"}),
        ({"initializer": initializers.constant([1, 2, 3])},
         {"initializer": "Constant cannot be said, a table starts as embedding_column's own default has it"}),
        ({"initializer": lambda *_, **__: 0},
         {"initializer": "function cannot be said, a table starts as embedding_column's own default has it"}),
        ({"initializer": initializers.truncated_normal(stddev=0.5, seed=3)},
         {"initializer.seed": "a table starts from the seed of the training"}),
        ({"ckpt_to_load_from": "no/such", "tensor_name_in_ckpt": "t"},
         {"ckpt_to_load_from": "no/such is not what the files of a checkpoint begin with"}),
        ({"use_safe_embedding_lookup": False},
         {"use_safe_embedding_lookup": "a row without ids gives zeros, and so do ids of -1, which have no vector"}),
    ],
)  # fmt: skip
def test_what_of_a_table_cannot_be_said_is_listed(fields, left_out):
    draft = convert("feature_columns", [fc.embedding_column(IDS, 4, **fields)])
    assert draft.spec.by_name["i_embedding"].model_dump(exclude_defaults=True) == {
        "name": "i_embedding", "of": "i", "dimension": 4
    }  # fmt: skip
    assert draft.left_out == {f"i_embedding.{field}": why for field, why in left_out.items()}


def test_a_table_of_a_checkpoint_that_is_not_trained(tmp_path):
    prefix = str(tmp_path / "model.ckpt-3")
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=["dnn/t"], shape_and_slices=[""], tensors=[tf.constant(TABLE)])
    start = initializers.variance_scaling()  # which the checkpoint makes useless
    column = fc.embedding_column(IDS, 2, "mean", start, prefix, "dnn/t", trainable=False)
    draft = convert("feature_columns", [column])
    assert draft.left_out == {}
    ours = draft.spec.by_name["i_embedding"]
    assert not ours.trainable
    np.testing.assert_array_equal(ours.saved.read((3, 2)), TABLE)


def test_a_step_that_has_no_id_is_told():
    steps = fc.sequence_categorical_column_with_vocabulary_list("words", ["a"])
    draft = convert("feature_columns", [fc.embedding_column(steps, 2)])
    assert draft.left_out == {"words.default_value": "a value out of the vocabulary is no step, and not one of zeros"}


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("census_program", "convert: is not module:attribute"),
        ("no.such.module:columns", "convert: cannot import no.such.module"),
        (
            "tests.trainers.census_program:build_columns",
            "convert: tests.trainers.census_program has no 'build_columns'",
        ),
        (3, "convert: is no list of columns"),
        ([], "convert: none of the columns can be said"),
    ],
)
def test_what_is_no_list_of_columns(source, what):
    with pytest.raises(SpecError) as error:
        convert("feature_columns", source)
    assert error.value.what == what
    assert error.value.expected
    assert error.value.received


def test_a_library_that_is_none():
    with pytest.raises(SpecError) as error:
        convert("feature_column", [])
    assert error.value.what == "convert: there is no 'feature_column'"
    assert error.value.expected.startswith("'feature_columns'")
