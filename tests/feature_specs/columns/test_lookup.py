import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


class TestLookup(ColumnContract):
    rows = {
        "lookup_map": pa.array(
            [
                ["nike:a", "puma:b"],
                ["nike:a", "puma:c", "nike:b"],
                None,
                ["puma:c", "asics:d", "noise", ":x", "puma:"],
                ["nike:a"],
                ["ü:Hello", "nike:c"],
                ["nike:d"],
                ["puma:c", "puma:b"],
            ]
        ),
        "lookup_brand": pa.array(["nike", "nike", "nike", "puma", None, "ü", "nike", "puma"]),
        "lookup_by_code": pa.array(
            [
                ["7:a", "-1:b"],
                ["7:a"],
                ["7:a"],
                ["8:b", "7:a", "9:c"],
                ["8:c"],
                ["1:d", "01:a"],
                ["8:b"],
                ["7:a"],
            ]
        ),
        "lookup_codes": pa.array([[7, -1], [], None, [7, 8], [7], [1], [8], [7, 7]]),
        "lookup_text": pa.array(["k=a;l=b", "k=b:1;k=a", "", None, "k:a", "l=a; k=b", "K=a", "k=a=b"]),
        "lookup_word": pa.array(["k"] * 7 + [""]),
        "lookup_favourite": pa.array(["c", "c", "c", "b", "d", "a", "c", "c"]),
    }
    inputs = {"lookup_text": {"delimiter": ";"}}
    columns = {
        "lookup_hashed": {"kind": "lookup", "source": "lookup_map", "key": "lookup_brand", "buckets": 10},
        "lookup_learned": {"kind": "lookup", "source": "lookup_map", "key": "lookup_brand"},
        "lookup_few": {"kind": "lookup", "source": "lookup_map", "key": "lookup_brand", "top_k": 1, "oov_buckets": 1},
        "lookup_by_code": {"kind": "lookup", "key": "lookup_codes", "vocabulary": ["a", "b"], "oov_buckets": 1},
        "lookup_text": {"kind": "lookup", "key": "lookup_word", "separator": "=", "vocabulary": ["a", "b"]},
        "lookup_shared": {"kind": "lookup", "source": "lookup_map", "key": "lookup_brand", "shared": "lookup_words"},
        "lookup_favourite": {"kind": "vocabulary", "shared": "lookup_words"},
    }
    hello = 15404698994557526151  # Fingerprint64("Hello"), as tensorflow/core/platform/fingerprint_test.cc has it
    transformed = {
        # Found are a; a, b; nothing; c; nothing; Hello; d; c, b.
        "lookup_hashed": [[9], [9, 2], [], [2], [], [hello % 10], [5], [2, 2]],
        # Learned of the first six rows: a twice, then c, b and Hello once each.
        "lookup_learned": [[0], [0, 2], [], [1], [], [3], [-1], [1, 2]],
        "lookup_few": [[0], [0, 1], [], [1], [], [1], [1], [1, 1]],
        "lookup_by_code": [[0], [], [], [1, 0], [], [2], [1], [0]],
        "lookup_text": [[0], [-1, 0], [], [], [], [1], [], []],
        # c four times, a three times, b twice, d and Hello once.
        "lookup_shared": [[1], [1, 2], [], [0], [], [4], [3], [0, 2]],
        "lookup_favourite": [[0], [0], [0], [2], [3], [1], [0], [0]],
    }
    no_raw = dict.fromkeys(columns, "lookup has no tf.feature_column over raw rows") | {
        "lookup_favourite": "only a vocabulary given as a list"
    }


def test_how_many_ids_there_are(transform):
    columns = [
        {"name": name, "kind": "lookup", "source": "m", "key": "k"} | fields
        for name, fields in {"hashed": {"buckets": 7}, "given": {"vocabulary": ["a", "b"], "oov_buckets": 3}}.items()
    ]
    spec = validate({"columns": columns}, FeatureSpec, "spec")
    assert spec.num_buckets({}) == {"hashed": 7, "given": 5}
    assert spec.by_name["given"].words() == ("a", "b")
    assert spec.by_name["hashed"].learned_vocabulary() is None


@pytest.mark.parametrize(
    ("fields", "what", "expected"),
    [
        ({"key": None}, "columns.0.key: is not right", "a valid string"),
        ({"key": "m"}, "columns.0: is not right", "has one input for the map and for the key"),
        ({"separator": ""}, "columns.0.separator: is not right", "at least 1 character"),
        ({"buckets": 0}, "columns.0.buckets: is not right", "greater than or equal to 1"),
        ({"buckets": 9, "vocabulary": ["a"]}, "columns.0: is not right", "has buckets, and vocabulary"),
        ({"buckets": 9, "top_k": 2}, "columns.0: is not right", "has buckets, and top_k"),
        ({"buckets": 9, "oov_buckets": 2}, "columns.0: is not right", "has buckets, and oov_buckets"),
        ({"vocabulary": ["a"], "shared": "w"}, "columns.0: is not right", "has shared, which is for a learned"),
    ],
)
def test_what_it_cannot_be(fields, what, expected):
    column = {"name": "x", "kind": "lookup", "source": "m", "key": "k"} | fields
    with pytest.raises(SpecError) as error:
        validate({"columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert expected in error.value.expected


def test_a_map_that_is_cut_between_key_and_value():
    column = {"name": "x", "kind": "lookup", "source": "m", "key": "k", "separator": "="}
    with pytest.raises(SpecError) as error:
        validate({"inputs": {"m": {"delimiter": "="}}, "columns": [column]}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.x: 'm' is cut at each '=', which separates a key from its value"
    assert error.value.received == "'='"
    validate({"inputs": {"m": {"delimiter": ":"}}, "columns": [column]}, FeatureSpec, "spec")


def test_a_map_is_text():
    column = {"name": "x", "kind": "lookup", "source": "m", "key": "k"}
    spec = FeatureSpec.model_validate({"columns": [column]})
    assert spec.by_name["x"].accepted("m") == ("string",)
    assert spec.by_name["x"].accepted("k") == ("string", "int64")
