"""The kinds that look up, match and compare lists, beside plain Python over drawn rows."""

import math
import re
from collections import defaultdict
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from tfloom.feature_specs import key_values
from tfloom.feature_specs.columns.dot import Dot
from tfloom.feature_specs.columns.lookup import Lookup
from tfloom.feature_specs.columns.lookup_number import LookupNumber
from tfloom.feature_specs.columns.match import Match
from tfloom.feature_specs.columns.match_number import MatchNumber
from tfloom.feature_specs.columns.overlap import Overlap

MISSING = -99.0
MEASURES = ("common", "query_common_ratio", "title_common_ratio", "is_contain", "is_equal", "jaccard", "dice", "cosine")


def given_rows(**inputs):
    """(column) reads these inputs, by name the values of each row."""
    return SimpleNamespace(categorical=ragged(inputs).__getitem__)


def ragged(inputs):
    return {name: tf.ragged.constant(rows, dtype(name), 1) for name, rows in inputs.items()}


def dtype(name):
    return tf.int64 if name == "codes" else tf.string


# -- taken apart ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "separator", "alone", "expected"),
    [
        ("a:1", ":", "", [("a", "1")]),
        ("a:1:2", ":", "", [("a", "1:2")]),
        ("a", ":", "", []),
        ("a", ":", "1", [("a", "1")]),
        ("a:", ":", "1", []),
        (":1", ":", "1", []),
        (":", ":", "", []),
        ("a=>b", "=>", "", [("a", "b")]),
        ("a.b", ".", "", [("a", "b")]),
        ("ü:ö", ":", "", [("ü", "ö")]),
        (" a : 1 ", ":", "", [(" a ", " 1 ")]),
        ("a\0b:\0", ":", "", [("a\0b", "\0")]),
    ],
)
def test_a_text_is_a_pair_or_none(text, separator, alone, expected):
    made = key_values.pairs(tf.ragged.constant([["k"], [text, f"l{separator}2"]]), separator, alone)
    found = list(zip(made.rows.numpy().tolist(), decoded(made.keys), decoded(made.values), strict=True))
    first = [(0, "k", alone)] if alone else []
    assert found == [*first, *((1, *pair) for pair in expected), (1, "l", "2")]


def test_what_is_no_utf_8_is_taken_apart_too():
    made = key_values.pairs(tf.ragged.constant([[b"\xff:\xfe"]]), ":")
    assert (made.keys.numpy().tolist(), made.values.numpy().tolist()) == ([b"\xff"], [b"\xfe"])
    assert made.numbers()[1].shape == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", 1),
        ("-2.50", -2.5),
        ("+.5", 0.5),
        ("5.", 5),
        ("1e3", 1e3),
        ("1E-2", 0.01),
        (" 7\t", 7),
        ("0" * 400 + "3", 3),
    ],
)
def test_a_text_that_is_a_number(text, expected):
    found, numbers = key_values.pairs(tf.ragged.constant([[f"k:{text}"]]), ":").numbers()
    assert numbers.numpy().tolist() == [expected]
    assert decoded(found.keys) == ["k"]


@pytest.mark.parametrize("text", ["x", "nan", "inf", "1e999", "0x10", "1_0", "1,5", "1 2", ".", "-", "e5", "١", "1:2"])
def test_a_text_that_is_no_number(text):
    found, numbers = key_values.pairs(tf.ragged.constant([[f"k:{text}", "l:2"]]), ":").numbers()
    assert numbers.numpy().tolist() == [2]
    assert decoded(found.keys) == ["l"]


def decoded(texts):
    return [text.decode() for text in texts.numpy().tolist()]


def test_thousands_of_keys():
    # Row by row and key by key these would be two thousand million comparisons.
    many = [[f"key {i}:{i}" for i in range(20_000)]] * 5
    keys = [[f"key {i}" for i in range(0, 40_000, 2)]] * 5
    made = LookupNumber(name="x", source="map", key="keys", missing=MISSING).transform(given_rows(map=many, keys=keys))
    assert made.numpy()[:, 0].tolist() == [sum(range(0, 20_000, 2))] * 5


# -- beside Python ----------------------------------------------------------------------------------------------------

NUMBERS = ["1", "0", "-2.5", "0.1", "1e-3", "3e38", "-3e38", "1e300", "16777217", " 4"]
TEXTS = ["x", "nan", "", "ü", "1:2", "٣"]
KEY = st.sampled_from(["a", "b", "ab", "A", "ü", "日本", "k" * 70, "-1", "7", "a:b", "\0", " a"])
VALUE = st.sampled_from(NUMBERS + TEXTS)
ENTRY = st.one_of(st.builds("{}:{}".format, KEY, VALUE), KEY, st.sampled_from([":", "a:", ":1", "::"]))
MAP = st.lists(ENTRY, max_size=12)
NESTED = st.lists(
    st.one_of(st.builds("{}^{}".format, KEY, MAP.map(",".join)), ENTRY, st.sampled_from(["^", "a^", "^a:1"])),
    max_size=5,
)
KEYS = st.lists(KEY, max_size=6)
CODES = st.lists(st.sampled_from([7, -2, 0, 2**63 - 1]), max_size=4)
ROWS = st.lists(
    st.fixed_dictionaries({"map": MAP, "other": MAP, "nested": NESTED, "keys": KEYS, "items": KEYS, "codes": CODES}),
    min_size=1, max_size=6,
)  # fmt: skip


def number(text):
    if not re.fullmatch(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*", text, re.ASCII):
        return None
    return float(text) if math.isfinite(float(text)) else None


def taken_apart(texts, separator=":", alone=""):
    pairs = [text.partition(separator) if separator in text else (text, separator, alone) for text in texts]
    return [(key, value) for key, _, value in pairs if key and value]


def looked_up(row, key="keys"):
    keys = {str(one) for one in row[key]}
    return [value for key, value in taken_apart(row["map"]) if key in keys]


def matched(row, category, item):
    found = []
    for outer, inner in taken_apart(row["nested"], "^"):
        for key, value in taken_apart(inner.split(",")):
            if (not category or outer in row["keys"]) and (not item or key in row["items"]):
                found.append(value)
    return found


def combined(values, combiner):
    numbers = [one for one in map(number, values) if one is not None]
    if not numbers:
        return MISSING
    total = 0.0
    for one in numbers:
        total += one
    of = {"sum": total, "mean": total / len(numbers), "min": min(numbers), "max": max(numbers), "count": len(numbers)}
    return float32(of[combiner])


def float32(x):
    with np.errstate(over="ignore"):
        return float(np.float32(x)) if math.isfinite(np.float32(x)) else MISSING


def dotted(row):
    vectors = []
    for name in ("map", "other"):
        vector = defaultdict(float)
        for key, value in taken_apart(row[name], alone="1"):
            if (read := number(value)) is not None:
                vector[key] += read
        vectors.append(vector)
    query, document = vectors
    if not (query and document):
        return MISSING
    total = 0.0
    for key in query:
        if key in document:
            total += query[key] * document[key]
    return float32(total)


def overlapping(row, measure):
    query, title = set(row["keys"]), set(row["items"])
    if not (query and title):
        return MISSING
    common = len(query & title)
    return float32({
        "common": common,
        "query_common_ratio": common / len(query),
        "title_common_ratio": common / len(title),
        "is_contain": query <= title,
        "is_equal": query == title,
        "jaccard": common / len(query | title),
        "dice": 2 * common / (len(query) + len(title)),
        "cosine": common / math.sqrt(len(query) * len(title)),
    }[measure])  # fmt: skip


def values(rows):
    # As `categorical` gives them, without ''.
    return ragged({name: [[x for x in row[name] if x != ""] for row in rows] for name in rows[0]})


@cache
def traced(column, method="transform"):
    """A method of a column, which reads the drawn inputs, as the graph in which it is served."""
    names = ("map", "other", "nested", "keys", "items", "codes")
    signature = {name: tf.RaggedTensorSpec([None, None], dtype(name), 1) for name in names}
    return tf.function(
        lambda inputs: getattr(column, method)(SimpleNamespace(categorical=inputs.__getitem__)),
        input_signature=[signature],
    )


def agree(column, rows, python):
    """A column of one number gives what Python does, and the same bits for a row alone as in its batch."""
    transform = traced(column)
    made = transform(values(rows)).numpy()
    assert made.dtype == np.float32
    assert made[:, 0].tolist() == [python(row) for row in rows]
    assert b"".join(transform(values([row])).numpy().tobytes() for row in rows) == made.tobytes()


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from(["keys", "codes"]))
def test_lookup_beside_python(rows, key):
    found = traced(Lookup(name="x", source="map", key=key, buckets=5), "read")(values(rows))
    assert found.to_list() == [[value.encode() for value in looked_up(row, key)] for row in rows]
    for combiner in ("sum", "mean", "min", "max", "count"):
        column = LookupNumber(name="x", source="map", key=key, combiner=combiner, missing=MISSING)
        agree(column, rows, lambda row, combiner=combiner: combined(looked_up(row, key), combiner))


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from([("keys", None), (None, "items"), ("keys", "items")]))
def test_match_beside_python(rows, by):
    fields = {"name": "x", "source": "nested", "category": by[0], "item": by[1]}
    found = traced(Match(**fields, buckets=5), "read")(values(rows))
    assert found.to_list() == [[value.encode() for value in matched(row, *by)] for row in rows]
    agree(MatchNumber(**fields, missing=MISSING), rows, lambda row: combined(matched(row, *by), "sum"))


@settings(max_examples=150, deadline=None)
@given(ROWS, st.sampled_from(MEASURES))
def test_overlap_beside_python(rows, measure):
    column = Overlap(name="x", source=("keys", "items"), measure=measure, missing=MISSING)
    agree(column, rows, lambda row: overlapping(row, measure))


@settings(max_examples=150, deadline=None)
@given(ROWS)
def test_dot_beside_python(rows):
    agree(Dot(name="x", source=("map", "other"), missing=MISSING), rows, dotted)
