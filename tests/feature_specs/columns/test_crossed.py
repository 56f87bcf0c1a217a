import itertools

import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

A = ["a", "b", "a", "", "z", "b", "y", "a"]
N = [0, 1, -1, 2**40, 7, -3, 0, 1]
TAGS = [["x", "y"], ["x"], [], None, ["y", "y"], ["x", "y", "w"], ["v"], ["x"]]
X = [-1.0, 5.0, 15.0, None, 5.0, 0.0, 10.0, 20.0]
AT = [0, 1, 2, 2, 1, 1, 2, 2]  # X at 0 and 10
PAIRS = [[-1, 20], [5, None], None, [10, -5], [0, 0], [15, 5], [], [-2, 7]]
# At 0 and 10, the ids of the second element from 3 on.
PAIRS_AT = [[0, 5], [1, 5], [2, 5], [2, 3], [1, 4], [2, 4], [2, 5], [0, 4]]
A_ID = [[0], [1], [0], [], [-1], [1], [-1], [0]]  # A in the vocabulary a, b


def fingerprint(value):
    """An integer stands for itself, a string for its Fingerprint64."""
    if isinstance(value, int):
        return value % 2**64
    return int.from_bytes(tf.fingerprint([value])[0].numpy().tobytes(), "little")


def shift_mix(x):
    return x ^ (x >> 47)


def fingerprint_cat(a, b):
    """FingerprintCat64 of tensorflow/core/platform/fingerprint.h."""
    mul = 0xC6A4A7935BD1E995
    x = (a ^ mul ^ (shift_mix(b * mul % 2**64) * mul)) * mul % 2**64
    return shift_mix(shift_mix(x) * mul % 2**64)


def cross(buckets, *parts, key=0xDECAFCAFFE):
    """The ids of one row, the last part's values running fastest."""
    ids = []
    for values in itertools.product(*parts):
        h = key
        for value in values:
            h = fingerprint_cat(h, fingerprint(value))
        ids.append(h % buckets)
    return ids


def crosses(buckets, *columns, **key):
    return [cross(buckets, *row, **key) for row in zip(*columns, strict=True)]


def each(values):
    return [[value] for value in values]


HASHES = [[9], [2], [9], [], [fingerprint("z") % 10], [2], [fingerprint("y") % 10], [9]]  # of A, mod 10


FREE = {"kind": "crossed", "of": [{"input": "crossed_tags"}, "crossed_at"], "collision_free": True}


class TestCrossed(ColumnContract):
    rows = {
        "crossed_a": pa.array(A),
        "crossed_n": pa.array(N),
        "crossed_tags": pa.array(TAGS),
        "crossed_x": pa.array(X),
        "crossed_pair": pa.array(PAIRS),
        # Joined by _X_, as tf.ragged.cross does, the first and the second row would be one combination.
        "crossed_odd": pa.array(["a_X", "a", "a_X", "l\n", "l\\n", "", "a", "a_X"]),
        "crossed_even": pa.array(["b", "X_b", "b", "r\r", "r", "", "X_b", "X_b"]),
    }
    inputs = {"crossed_n": {"dtype": "int64"}, "crossed_tags": {"multi_valued": True}}
    columns = {
        "crossed_a_id": {"kind": "vocabulary", "source": "crossed_a", "vocabulary": ["a", "b"]},
        "crossed_at": {"kind": "bucketized", "source": "crossed_x", "boundaries": [0, 10]},
        "crossed_pair_at": {"kind": "bucketized", "source": "crossed_pair", "shape": 2, "boundaries": [0, 10]},
        "crossed_pairs": {"kind": "crossed", "of": ["crossed_pair_at", "crossed_a_id"], "buckets": 1000},
        "crossed_raw": {"kind": "crossed", "of": [{"input": "crossed_a"}, {"input": "crossed_n"}], "buckets": 1000},
        "crossed_ids": {"kind": "crossed", "of": ["crossed_a_id", "crossed_at"], "buckets": 1000},
        "crossed_other_way": {"kind": "crossed", "of": ["crossed_at", "crossed_a_id"], "buckets": 1000},
        "crossed_mixed": {"kind": "crossed", "of": ["crossed_at", {"input": "crossed_a"}], "buckets": 1000},
        "crossed_product": {
            "kind": "crossed", "of": [{"input": "crossed_tags"}, "crossed_at", {"input": "crossed_tags"}],
            "buckets": 1000,
        },
        "crossed_nested": {"kind": "crossed", "of": ["crossed_ids", {"input": "crossed_n"}], "buckets": 1000},
        "crossed_one": {"kind": "crossed", "of": ["crossed_a_id", "crossed_at"], "buckets": 1},
        "crossed_hash": {"kind": "hashed", "source": "crossed_a", "buckets": 10},
        "crossed_hashed": {"kind": "crossed", "of": ["crossed_hash", "crossed_at"], "buckets": 1000},
        "crossed_hashed_inside": {"kind": "crossed", "of": ["crossed_hashed", {"input": "crossed_n"}], "buckets": 9},
        "crossed_key": {"kind": "crossed", "of": ["crossed_a_id", "crossed_at"], "buckets": 1000, "hash_key": 7},
        "crossed_key_inside": {"kind": "crossed", "of": ["crossed_key", {"input": "crossed_n"}], "buckets": 1000},
        "crossed_key_outside": {
            "kind": "crossed", "of": ["crossed_key", {"input": "crossed_n"}], "buckets": 1000, "hash_key": 2**63 - 1
        },
        "crossed_free": {
            "kind": "crossed", "of": [{"input": "crossed_a"}, {"input": "crossed_n"}], "collision_free": True
        },
        "crossed_free_tags": FREE | {"oov_buckets": 2},
        "crossed_free_top": FREE | {"top_k": 2},
        "crossed_free_often": FREE | {"min_frequency": 3, "oov_buckets": 1},
        "crossed_free_nested": {
            "kind": "crossed", "of": ["crossed_ids", {"input": "crossed_n"}], "collision_free": True
        },
        "crossed_free_odd": {
            "kind": "crossed", "of": [{"input": "crossed_odd"}, {"input": "crossed_even"}], "collision_free": True
        },
    }  # fmt: skip
    transformed = {
        "crossed_a_id": A_ID,
        "crossed_at": each(AT),
        "crossed_pair_at": PAIRS_AT,
        "crossed_pairs": crosses(1000, PAIRS_AT, A_ID),
        # A raw '' is crossed like any other string.
        "crossed_raw": crosses(1000, each(A), each(N)),
        # An out-of-vocabulary -1 is crossed as -1; a part without a value gives no cross.
        "crossed_ids": crosses(1000, A_ID, each(AT)),
        "crossed_other_way": crosses(1000, each(AT), A_ID),
        "crossed_mixed": crosses(1000, each(AT), each(A)),
        "crossed_product": crosses(1000, [row or [] for row in TAGS], each(AT), [row or [] for row in TAGS]),
        # The inner cross's parts, not its ids.
        "crossed_nested": crosses(1000, A_ID, each(AT), each(N)),
        "crossed_one": [[0] * len(row) for row in A_ID],
        "crossed_hash": HASHES,
        "crossed_hashed": crosses(1000, HASHES, each(AT)),
        "crossed_hashed_inside": crosses(9, HASHES, each(AT), each(N)),
        "crossed_key": crosses(1000, A_ID, each(AT), key=7),
        # The inner cross's parts, not its key.
        "crossed_key_inside": crosses(1000, A_ID, each(AT), each(N)),
        "crossed_key_outside": crosses(1000, A_ID, each(AT), each(N), key=2**63 - 1),
        # Once each: z 7, b 1, b -3, a 0, a -1, '' 2^40 are in reverse lexicographic order.
        "crossed_free": [[3], [1], [4], [5], [0], [2], [-1], [-1]],
        # y 1 three times, x 1 twice, then y 0, x 0, w 1; no training row has v 2 and x 2.
        "crossed_free_tags": [
            [3, 2], [1], [], [], [0, 0], [1, 0, 4], [5 + fingerprint("v_X_2") % 2], [5 + fingerprint("x_X_2") % 2]
        ],
        "crossed_free_top": [[-1, -1], [1], [], [], [0, 0], [1, 0, -1], [-1], [-1]],
        "crossed_free_often": [[1, 1], [1], [], [], [0, 0], [1, 0, 1], [1], [1]],
        # Ids of a, of x, and n: 1 1 1, 1 1 -3, 0 2 -1, 0 0 0, -1 1 7.
        "crossed_free_nested": [[3], [0], [2], [], [4], [1], [-1], [-1]],
        # a_X b twice; by their bytes l, line end; l, backslash, n; a; then two empty strings.
        "crossed_free_odd": [[0], [3], [0], [1], [2], [4], [3], [-1]],
    }  # fmt: skip
    no_raw = dict.fromkeys(
        ("crossed_hashed", "crossed_hashed_inside"), "'crossed_hash' is hashed, and no tf.feature_column crosses"
    ) | {name: "its combinations are learned" for name in columns if name.startswith("crossed_free")}


def test_the_frozen_numbers_of_tensorflow():
    # test_hashed_no_hash_key of tensorflow/python/ops/sparse_ops_test.py
    assert cross(100, ["batch1-FC1-F1"], ["batch1-FC2-F1"], ["batch1-FC3-F1"]) == [83]
    assert cross(2**63 - 1, ["batch1-FC1-F1"], ["batch1-FC2-F1"], ["batch1-FC3-F1"]) == [1971693436396284976]
    # The same there with a hash_key, _DEFAULT_HASH_KEY + 1
    assert cross(100, ["batch1-FC1-F1"], ["batch1-FC2-F1"], ["batch1-FC3-F1"], key=0xDECAFCAFFE + 1) == [31]


def crossed(of, *others, buckets=9, **fields):
    written = {"name": "c", "kind": "crossed", "of": of, "buckets": buckets} | fields
    return validate({"columns": [written, *others]}, FeatureSpec, "spec")


def test_the_most_buckets(transform):
    spec = crossed([{"input": "a"}, {"input": "n"}], buckets=2**31 - 1)
    assert transform(spec, a=A, n=N)["c"] == crosses(2**31 - 1, each(A), each(N))
    with pytest.raises(SpecError, match="less than or equal to 2147483647"):
        crossed([{"input": "a"}, {"input": "n"}], buckets=2**31)


def test_a_number_has_no_ids_to_cross():
    with pytest.raises(SpecError) as error:
        crossed(["x", {"input": "y"}], {"name": "x", "kind": "numeric"})
    assert error.value.what == "spec: columns.c.of: 'x' has no ids to cross"
    assert error.value.received == "'x', which is numeric"


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"buckets": None}, "columns.0", "needs buckets or collision_free: true, one of the two"),
        ({"collision_free": True}, "columns.0", "needs buckets or collision_free: true, one of the two"),
        ({"buckets": None, "collision_free": True, "hash_key": 7}, "columns.0", "hash_key, and collision_free: true"),
        ({"top_k": 7}, "columns.0", "has top_k, min_frequency or oov_buckets, which are for collision_free: true"),
        ({"min_frequency": 7}, "columns.0", "which are for collision_free: true"),
        ({"oov_buckets": 7}, "columns.0", "which are for collision_free: true"),
        ({"hash_key": 0}, "columns.0.hash_key", "greater than or equal to 1"),
        ({"hash_key": 2**63}, "columns.0.hash_key", "less than or equal to"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        crossed([{"input": "a"}, {"input": "n"}], **fields)
    assert error.value.what == f"spec: {place}: is not right"


def test_tensorflow_puts_a_dense_part_last(transform):
    spec = crossed([{"input": "a"}, {"input": "n"}], buckets=1000)
    assert transform(spec, a=["b"], n=[7])["c"] == [cross(1000, ["b"], [7])]
    a, n = tf.constant([["b"]]), tf.constant([[7]], tf.int64)
    sparse = tf.sparse.cross_hashed([tf.sparse.from_dense(a), tf.sparse.from_dense(n)], 1000)
    dense = tf.sparse.cross_hashed([a, tf.sparse.from_dense(n)], 1000)
    assert sparse.values.numpy().tolist() == cross(1000, ["b"], [7])
    assert dense.values.numpy().tolist() == cross(1000, [7], ["b"])


def test_what_tensorflow_takes_for_no_hash_key():
    # 0 is none to tf.feature_column: `hash_key or _DEFAULT_HASH_KEY`.
    of_zero, of_none = (
        tf.sparse.cross_hashed([tf.constant([["a"]]), tf.constant([["b"]])], 1000, key).values for key in (0, None)
    )
    assert of_zero.numpy() == of_none.numpy() == cross(1000, ["a"], ["b"])


def test_a_column_crosses_no_number(transform):
    with pytest.raises(SpecError, match=r"columns.c: crossed cannot read 'y', which holds float32; make a bucketized"):
        transform(crossed(["x", {"input": "y"}], {"name": "x", "kind": "hashed", "buckets": 4}), x=["a"], y=[0.5])
