"""tf.feature_columns and the spec that they become: the same numbers for the same rows."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import input_layer
from tests.trainers import census_program
from tfloom.feature_specs import load_spec
from tfloom.feature_specs.converters import convert
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError

fc = tf.feature_column
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
        (lambda: fc.weighted_categorical_column(fc.categorical_column_with_identity("i", 3), "w"),
         "there is no kind for WeightedCategoricalColumn"),
        (lambda: fc.indicator_column(fc.sequence_categorical_column_with_identity("s", 4)),
         "of s: there is no kind for SequenceCategoricalColumn"),
        (lambda: fc.embedding_column(fc.categorical_column_with_identity("i", 3), 2, trainable=False),
         "its trainable, False, cannot be said"),
        (lambda: fc.categorical_column_with_hash_bucket("age", 3), "it reads age as string, another column as int64"),
    ],
)  # fmt: skip
def test_what_cannot_be_said_is_listed(column, why):
    kept = fc.categorical_column_with_identity("age", 100)
    draft = convert("feature_columns", [kept, column()])
    assert [c.name for c in draft.spec.columns] == ["age"]
    assert list(draft.left_out.values()) == [why]


def test_another_start_of_a_table_is_told():
    start = tf.compat.v1.initializers.truncated_normal(stddev=0.1)
    column = fc.embedding_column(fc.categorical_column_with_identity("i", 3), 2, initializer=start)
    assert list(convert("feature_columns", [column]).left_out) == ["i_embedding.initializer"]


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
