import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.embedded import Embedded
from tfloom.feature_specs.columns.hashed import Hashed
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Categorical
from tfloom.feature_specs.spec import FeatureSpec, load_spec
from tfloom.feature_specs.validation import validate

# Rows of length 5, 1 and 13.
TABLE = np.array([[3, 4], [0, -1], [-12, 5]], np.float32)
A, B, C = TABLE
ZERO = np.zeros(2)


def clipped(row, norm=2.0):
    return row * min(1, norm / np.linalg.norm(row))


class TestEmbedded(ColumnContract):
    rows = {
        "embedded_tags": pa.array([["a"], ["a", "b"], [], None, ["z"], ["z", "c", "c", "a"], ["b"], ["c", "z"]]),
        "embedded_learned": pa.array(["u", "v", "u", "v", "w", "w", None, "?"]),
    }
    inputs = {"embedded_tags": {"multi_valued": True}, "embedded_learned": {"dtype": "string"}}
    columns = {
        "embedded_tags": {"kind": "vocabulary", "vocabulary": ["a", "b", "c"]},
        "embedded_learned": {"kind": "vocabulary"},
        "embedded_mean": {"kind": "embedded", "of": "embedded_tags", "dimension": 2},
        "embedded_sum": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "combiner": "sum"},
        "embedded_sqrtn": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "combiner": "sqrtn"},
        "embedded_norm": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "max_norm": 2.0},
        "embedded_norm_sum": {
            "kind": "embedded", "of": "embedded_tags", "dimension": 2, "max_norm": 2.0, "combiner": "sum"
        },
        "embedded_words": {"kind": "embedded", "of": "embedded_learned", "dimension": 2},
        "embedded_one": {"kind": "embedded", "of": "embedded_tags", "dimension": 2, "shared": "embedded_both"},
        "embedded_other": {
            "kind": "embedded", "of": "embedded_learned", "dimension": 2, "shared": "embedded_both", "combiner": "sum"
        },
    }  # fmt: skip
    tables = dict.fromkeys((name for name, told in columns.items() if told["kind"] == "embedded"), TABLE)
    transformed = {
        "embedded_tags": [[0], [0, 1], [], [], [-1], [-1, 2, 2, 0], [1], [2, -1]],
        "embedded_learned": [[2], [1], [2], [1], [0], [0], [], [-1]],
    }
    # Out-of-vocabulary ids are pruned: they add nothing, and do not count.
    encoded = {
        "embedded_mean": [A, (A + B) / 2, ZERO, ZERO, ZERO, (2 * C + A) / 3, B, C],
        "embedded_sum": [A, A + B, ZERO, ZERO, ZERO, 2 * C + A, B, C],
        "embedded_sqrtn": [A, (A + B) / 2**0.5, ZERO, ZERO, ZERO, (2 * C + A) / 3**0.5, B, C],
        # Each looked-up row is clipped before they are combined.
        "embedded_norm": [
            clipped(A), (clipped(A) + B) / 2, ZERO, ZERO, ZERO, (2 * clipped(C) + clipped(A)) / 3, B, clipped(C)
        ],
        "embedded_norm_sum": [
            clipped(A), clipped(A) + B, ZERO, ZERO, ZERO, 2 * clipped(C) + clipped(A), B, clipped(C)
        ],
        "embedded_words": [C, B, C, B, A, A, ZERO, ZERO],
        "embedded_one": [A, (A + B) / 2, ZERO, ZERO, ZERO, (2 * C + A) / 3, B, C],
        "embedded_other": [C, B, C, B, A, A, ZERO, ZERO],
    }  # fmt: skip
    no_raw = dict.fromkeys(("embedded_learned", "embedded_words", "embedded_other"), "only a vocabulary given as a")


class _Weighted(Hashed):
    """Ids and weights as they lie in the batch."""

    def encode(self, batch, variables, num_buckets):
        return Categorical(*batch.value(self.name))


@pytest.mark.parametrize("max_norm", [None, 2.0])
@pytest.mark.parametrize("combiner", ["sum", "mean", "sqrtn"])
def test_weights_as_tensorflow_combines_them(combiner, max_norm):
    ids = [[0, 1, 2, 2], [2, -1, -1, -1], [-1, 0, -1, -1], [1, 0, -1, -1], [-1] * 4, [0, 1, -1, -1], [0, 1, 1, -1]]
    weights = [[1, 0.5, 2, 3], [0.25, 0, 0, 0], [9, 2, 0, 0], [0, -1, 0, 0], [0] * 4, [0, 1, 0, 0], [-2, 1, 3, 0]]
    column = Embedded(name="vector", of="ids", dimension=2, combiner=combiner, max_norm=max_norm)
    columns = {"ids": _Weighted(name="ids", buckets=3), "vector": column}
    of = (tf.constant(ids, tf.int64), 3, tf.constant(weights, tf.float32))
    tables = {"vector": {"table": tf.constant(TABLE)}}
    ours = Encoded(columns, {"ids": of}, tables, {}).feature("vector")

    # A value at the first place of each row: an empty row is one of -1 to it, too.
    places = [[row, i] for row in range(len(ids)) for i in range(4)]
    sparse = [
        tf.SparseTensor(places, tf.reshape(value, [-1]), [len(ids), 4])
        for value in (tf.constant(ids, tf.int64), tf.constant(weights, tf.float32))
    ]
    theirs = tf.nn.safe_embedding_lookup_sparse(tf.constant(TABLE), *sparse, combiner, max_norm=max_norm)
    np.testing.assert_allclose(ours.values, theirs, rtol=1e-6, atol=1e-6)
    without = Encoded(columns, {"ids": (*of[:2], None)}, tables, {}).feature("vector")
    assert not np.allclose(ours.values, without.values)


def spec(*columns):
    of = [{"name": name, "kind": "hashed", "buckets": 3} for name in ("x", "y")]
    written = [{"name": f"v{i}", "kind": "embedded", "of": "xy"[i], "dimension": 2} | c for i, c in enumerate(columns)]
    return validate({"columns": [*of, *written]}, FeatureSpec, "spec")


@pytest.mark.parametrize(
    ("written", "name", "numbers"),
    [
        ({"name": "truncated_normal", "stddev": 0.1}, "TruncatedNormal", {"mean": 0, "stddev": 0.1}),
        ({"name": "random_normal", "mean": 1, "stddev": 2}, "RandomNormal", {"mean": 1, "stddev": 2}),
        ({"name": "random_uniform", "minval": -1, "maxval": 2}, "RandomUniform", {"minval": -1, "maxval": 2}),
        ({"name": "constant", "value": 3}, "Constant", {"value": 3}),
        ({"name": "zeros"}, "Zeros", {}),
        (None, "TruncatedNormal", {"mean": 0, "stddev": 2**-0.5}),
    ],
)
def test_what_a_tf_feature_column_is_told_of_its_start(written, name, numbers):
    told = spec({"initializer": written})
    assert FeatureSpec.model_validate(told.to_dict()) == told
    made = told.by_name["v0"].transformed_feature_column(told.by_name, {"x": 3})
    assert type(made.initializer).__name__ == name
    assert {key: made.initializer.get_config()[key] for key in numbers} == pytest.approx(numbers)
    assert made.trainable


def test_what_a_tf_feature_column_is_told_of_a_table(tmp_path):
    told = spec({"trainable": False, "checkpoint": "model.ckpt-7", "checkpoint_variable": "v/table", "max_norm": 2})
    made = told.by_name["v0"].transformed_feature_column(told.by_name, {"x": 3})
    assert (made.trainable, made.max_norm) == (False, 2)
    assert (made.ckpt_to_load_from, made.tensor_name_in_ckpt) == ("model.ckpt-7", "v/table")
    np.save(tmp_path / "table.npy", TABLE)
    told = spec({"checkpoint": str(tmp_path / "table.npy")})
    made = told.by_name["v0"].transformed_feature_column(told.by_name, {"x": 3})
    np.testing.assert_array_equal(made.initializer.get_config()["value"], TABLE)


def test_a_checkpoint_starts_at_the_folder_of_the_spec(tmp_path):
    told = spec({"checkpoint": "table.npy"}, {"checkpoint": "model.ckpt", "checkpoint_variable": "v"})
    (tmp_path / "spec.yaml").write_text(told.to_yaml())
    np.save(tmp_path / "table.npy", TABLE)
    with pytest.raises(SpecError) as error:
        load_spec(tmp_path / "spec.yaml")
    assert error.value.what == "columns.v1.checkpoint: there is no such file"
    assert error.value.received == str(tmp_path / "model.ckpt")
    (tmp_path / "model.ckpt.index").touch()
    loaded = load_spec(tmp_path / "spec.yaml").by_name
    assert [loaded[name].checkpoint for name in ("v0", "v1")] == [
        str(tmp_path / "table.npy"), str(tmp_path / "model.ckpt")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"dimension": 0}, ".dimension", "greater than or equal to 1"),
        ({"max_norm": 0}, ".max_norm", "greater than 0"),
        ({"combiner": "max"}, ".combiner", "'sum', 'mean' or 'sqrtn'"),
        ({"initializer": {"name": "zeros", "value": 1}}, ".initializer.value", ""),
        ({"initializer": {"name": "random_normal", "stddev": 0}}, ".initializer.stddev", "greater than 0"),
        ({"initializer": {"name": "random_uniform", "minval": 1, "maxval": 1}}, ".initializer", "below maxval"),
        ({"initializer": {"name": "ones"}}, ".initializer.name", "zeros"),
        ({"shared": "1"}, ".shared", "match pattern"),
        ({"checkpoint_variable": "v"}, "", "has checkpoint_variable without a checkpoint"),
        ({"checkpoint": "a.ckpt"}, "", "a TensorFlow checkpoint needs checkpoint_variable"),
        ({"checkpoint": "a.npy", "checkpoint_variable": "v"}, "", r"an array \(.npy\) has none"),
        ({"checkpoint": "a.npy", "initializer": {"name": "zeros"}}, "", "has both initializer and checkpoint"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        spec(fields)
    assert error.value.what.startswith(f"spec: columns.2{place}: ")


@pytest.mark.parametrize(
    ("one", "other", "field", "received"),
    [
        ({}, {"dimension": 3}, "dimension", "2"),
        ({}, {"trainable": False}, "trainable", "True"),
        ({}, {"initializer": {"name": "zeros"}}, "initializer", "none"),
        ({"checkpoint": "a.npy"}, {}, "checkpoint", "a.npy"),
    ],
)
def test_who_cannot_share(one, other, field, received):
    with pytest.raises(SpecError) as error:
        spec(one | {"shared": "s"}, other | {"shared": "s"})
    assert error.value.what == f"spec: columns.v0.{field}: is another than that of 'v1', which shares 's'"
    assert error.value.received == received


def test_what_those_who_share_say_for_themselves():
    told = spec({"shared": "s", "combiner": "sum", "max_norm": 1}, {"shared": "s"})
    assert told.by_name["v0"].variables({"x": 3}) == told.by_name["v1"].variables({"y": 3})
