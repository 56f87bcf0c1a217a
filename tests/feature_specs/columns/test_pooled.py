import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.columns.numeric import Numeric
from tfloom.feature_specs.columns.pooled import Pooled
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.features import Sequence
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

TABLE = np.array([[3, 4], [0, -1], [-12, 5]], np.float32)
A, B, C = TABLE
ZERO = np.zeros(2)
COMBINERS = ("sum", "mean", "sqrtn", "max", "min", "first", "last")


def all_of(source):
    return {f"{source}_{how}": {"kind": "pooled", "of": source, "combiner": how} for how in COMBINERS}


class TestPooled(ColumnContract):
    rows = {
        "pooled_x": pa.array([[2, 4], [-3], [], None, [1, 2, 3, 10], [5, 5], [0], [-1, -2]], pa.list_(pa.float32())),
        "pooled_seen": pa.array([["a"], ["a", "b"], [], None, [""], ["c", "", "c", "a"], ["b"], [None, "c"]]),
    }
    inputs = {"pooled_seen": {"multi_valued": True}}
    columns = {
        "pooled_x": {"kind": "sequence_numeric", "padding": 7.0},
        **all_of("pooled_x"),
        "pooled_seen": {"kind": "vocabulary", "vocabulary": ["a", "b", "c"]},
        "pooled_vectors": {"kind": "sequence_embedded", "of": "pooled_seen", "dimension": 2},
        **all_of("pooled_vectors"),
        "pooled_usual": {"kind": "pooled", "of": "pooled_x"},
    }
    tables = {"pooled_vectors": TABLE}
    transformed = {
        "pooled_x": [[2, 4], [-3], [], [], [1, 2, 3, 10], [5, 5], [0], [-1, -2]],
        "pooled_seen": [[0], [0, 1], [], [], [], [2, 2, 0], [1], [2]],
    }
    encoded = {
        "pooled_x": [[[x] for x in row] for row in transformed["pooled_x"]],
        "pooled_x_sum": [6, -3, 0, 0, 16, 10, 0, -3],
        "pooled_x_mean": [3, -3, 0, 0, 4, 5, 0, -1.5],
        "pooled_x_sqrtn": [6 / 2**0.5, -3, 0, 0, 8, 10 / 2**0.5, 0, -3 / 2**0.5],
        "pooled_x_max": [4, -3, 0, 0, 10, 5, 0, -1],
        "pooled_x_min": [2, -3, 0, 0, 1, 5, 0, -2],
        "pooled_x_first": [2, -3, 0, 0, 1, 5, 0, -1],
        "pooled_x_last": [4, -3, 0, 0, 10, 5, 0, -2],
        "pooled_usual": [3, -3, 0, 0, 4, 5, 0, -1.5],
        "pooled_vectors": [[A], [A, B], [], [], [], [C, C, A], [B], [C]],
        "pooled_vectors_sum": [A, A + B, ZERO, ZERO, ZERO, 2 * C + A, B, C],
        "pooled_vectors_mean": [A, (A + B) / 2, ZERO, ZERO, ZERO, (2 * C + A) / 3, B, C],
        "pooled_vectors_sqrtn": [A, (A + B) / 2**0.5, ZERO, ZERO, ZERO, (2 * C + A) / 3**0.5, B, C],
        "pooled_vectors_max": [A, [3, 4], ZERO, ZERO, ZERO, [3, 5], B, C],
        "pooled_vectors_min": [A, [0, -1], ZERO, ZERO, ZERO, [-12, 4], B, C],
        "pooled_vectors_first": [A, A, ZERO, ZERO, ZERO, C, B, C],
        "pooled_vectors_last": [A, B, ZERO, ZERO, ZERO, A, B, C],
    }
    no_raw = {name: "no tf.feature_column pools" for name, told in columns.items() if told["kind"] == "pooled"}
    no_transformed = no_raw


class _Stub(Numeric):
    def encode(self, batch, variables, num_buckets):
        return batch.value(self.name)


@pytest.mark.parametrize("combiner", COMBINERS)
def test_whatever_the_mask_and_the_padding(combiner):
    """Of a batch without any step, and where what is masked is no number."""
    columns = {"steps": _Stub(name="steps"), "pool": Pooled(name="pool", of="steps", combiner=combiner)}
    nan = float("nan")
    for values, mask, expected in (
        (np.zeros((2, 0, 3)), np.zeros((2, 0), bool), np.zeros((2, 3))),
        (np.float32([[[nan], [5], [nan], [5], [nan]]]), [[False, True, False, True, False]],
         [[{"sum": 10, "sqrtn": 10 / 2**0.5}.get(combiner, 5)]]),
    ):  # fmt: skip
        steps = Sequence(tf.constant(values, tf.float32), tf.constant(mask))
        pooled = Encoded(columns, {"steps": steps}, {}, {}).feature("pool").values
        np.testing.assert_allclose(pooled, np.float32(expected), rtol=1e-6)


@pytest.mark.parametrize("kind", ["numeric", "hashed"])
def test_what_is_no_sequence(kind):
    columns = [
        {"name": "steps", "kind": "sequence_numeric"},
        {"name": "x", "kind": kind} | ({"buckets": 2} if kind == "hashed" else {}),
        {"name": "pool", "kind": "pooled", "of": "x"},
    ]
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.pool.of: 'x' is no sequence"
    assert error.value.expected == "a sequence, one of: steps"
    assert error.value.received == f"'x', which is {kind}"


def test_what_it_cannot_be():
    columns = [{"name": "x", "kind": "sequence_numeric"}, {"name": "y", "kind": "pooled", "of": "x", "combiner": "?"}]
    with pytest.raises(SpecError, match="'sum', 'mean', 'sqrtn', 'max', 'min', 'first' or 'last'") as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.1.combiner: is not right"
