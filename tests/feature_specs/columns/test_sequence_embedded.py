import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

# Rows of length 5, 1, 13 and 0.
TABLE = np.array([[3, 4], [0, -1], [-12, 5], [0, 0]], np.float32)
A, B, C, OTHER = TABLE


def of(source, **fields):
    return {"kind": "sequence_embedded", "of": f"sequence_embedded_{source}", "dimension": 2} | fields


class TestSequenceEmbedded(ColumnContract):
    rows = {
        "sequence_embedded_seen": pa.array(
            [["a"], ["b", "", "a"], [], None, ["c", "z", "c", "a", "b"], [None, "c"], ["z"], ["ü", "b", "a"]]
        ),
        "sequence_embedded_one": pa.array(["a", "b", "", None, "c", "z", "a", "c"]),
        "sequence_embedded_learned": pa.array([["u"], ["v", "u"], ["u"], [], None, ["v"], ["w", "v"], ["u", "w"]]),
    }
    inputs = {"sequence_embedded_seen": {"multi_valued": True}, "sequence_embedded_learned": {"multi_valued": True}}
    columns = {
        "sequence_embedded_seen": {"kind": "vocabulary", "vocabulary": ["a", "b", "c"], "oov_buckets": 1},
        "sequence_embedded_one": {"kind": "vocabulary", "vocabulary": ["a", "b", "c"], "oov_buckets": 1},
        "sequence_embedded_learned": {"kind": "vocabulary", "oov_buckets": 2},
        "sequence_embedded_all": of("seen"),
        "sequence_embedded_first": of("seen", max_length=2),
        "sequence_embedded_last": of("seen", max_length=2, keep="last"),
        "sequence_embedded_norm": of("seen", max_norm=2.6),
        "sequence_embedded_words": of("learned"),
        "sequence_embedded_ones": of("one"),
    }
    tables = dict.fromkeys((name for name, told in columns.items() if told["kind"] == "sequence_embedded"), TABLE)
    transformed = {
        "sequence_embedded_seen": [[0], [1, 0], [], [], [2, 3, 2, 0, 1], [2], [3], [3, 1, 0]],
        "sequence_embedded_one": [[0], [1], [], [], [2], [3], [0], [2]],
        "sequence_embedded_learned": [[0], [1, 0], [0], [], [], [1], [3, 1], [0, 3]],
    }
    encoded = {
        "sequence_embedded_all": [[A], [B, A], [], [], [C, OTHER, C, A, B], [C], [OTHER], [OTHER, B, A]],
        "sequence_embedded_first": [[A], [B, A], [], [], [C, OTHER], [C], [OTHER], [OTHER, B]],
        "sequence_embedded_last": [[A], [B, A], [], [], [A, B], [C], [OTHER], [B, A]],
        # Each vector is clipped by itself.
        "sequence_embedded_norm": [
            [A * 0.52], [B, A * 0.52], [], [], [C / 5, OTHER, C / 5, A * 0.52, B], [C / 5], [OTHER],
            [OTHER, B, A * 0.52],
        ],
        "sequence_embedded_words": [[A], [B, A], [A], [], [], [B], [OTHER, B], [A, OTHER]],
        "sequence_embedded_ones": [[A], [B], [], [], [C], [OTHER], [A], [C]],
    }  # fmt: skip
    no_raw = {
        "sequence_embedded_learned": "only a vocabulary given as a list",
        "sequence_embedded_words": "only a vocabulary given as a list",
        "sequence_embedded_first": "no tf.feature_column has a max_length",
        "sequence_embedded_last": "no tf.feature_column has a max_length",
    }
    no_transformed = {name: why for name, why in no_raw.items() if "max_length" in why}

    def test_a_step_that_is_none_is_zeros(self, materialised):
        feature = self.encode("sequence_embedded_all", materialised)
        assert not np.any(feature.values[~feature.mask])


def spec(*columns):
    word = {"name": "word", "kind": "vocabulary", "vocabulary": ["a", "b", "c"]}
    return validate({"columns": [word, *columns]}, FeatureSpec, "spec")


VECTORS = {"name": "vectors", "kind": "sequence_embedded", "of": "word", "dimension": 2}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, [[A, C], [], [B, A, C]]),
        ({"max_length": 2}, [[A, C], [], [B, A]]),
        ({"max_length": 2, "keep": "last"}, [[A, C], [], [A, C]]),
    ],
)
def test_an_unknown_value_is_no_step(fields, expected):
    """Of -1 there is no telling whether it is one or the padding: in wider batches rows stay what they are."""
    told = spec(VECTORS | fields)
    ids = [[-1, 0, -1, 2, -1, -1], [-1] * 6, [1, 0, -1, 2, -1, -1]]
    for width in (4, 6):
        batch = Encoded(told.by_name, {"word": tf.constant(ids, tf.int64)[:, :width]},
                        {"vectors": {"table": tf.constant(TABLE)}}, {"word": 3})  # fmt: skip
        feature = batch.feature("vectors")
        made = [values[mask].tolist() for values, mask in zip(feature.values.numpy(), feature.mask, strict=True)]
        assert made == [[step.tolist() for step in steps] for steps in expected]
        np.testing.assert_array_equal(feature.mask, tf.sequence_mask([len(steps) for steps in expected]))


def test_what_has_no_ids():
    with pytest.raises(SpecError) as error:
        spec({"name": "x", "kind": "numeric"}, VECTORS | {"of": "x"})
    assert error.value.what == "spec: columns.vectors.of: 'x' has no ids"


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"dimension": 0}, ".dimension", "greater than or equal to 1"),
        ({"max_length": 0}, ".max_length", "greater than or equal to 1"),
        ({"keep": "last"}, "", "has keep: last, and all steps are kept without max_length"),
        ({"checkpoint_variable": "v"}, "", "has checkpoint_variable without a checkpoint"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        spec(VECTORS | fields)
    assert error.value.what == f"spec: columns.1{place}: is not right"


def test_a_table_shared_with_an_embedding():
    average = {"name": "average", "kind": "embedded", "of": "word", "dimension": 2, "shared": "words"}
    told = spec(VECTORS | {"shared": "words"}, average)
    assert len({repr(told.by_name[name].variables({"word": 3})) for name in ("vectors", "average")}) == 1
    with pytest.raises(SpecError, match="dimension: is another than that of 'average', which shares 'words'"):
        spec(VECTORS | {"shared": "words", "dimension": 3}, average)
