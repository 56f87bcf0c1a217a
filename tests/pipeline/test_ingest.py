"""From raw rows to parsed rows: every one of them is accounted for."""

import datetime
import decimal
import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfloom.feature_specs.directories import ORIGIN
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.formats import Damage
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.sources import Chunk, Source

NUMERIC = {"name": "x", "kind": "numeric"}
FLOAT, INT, STRING = {"dtype": "float32"}, {"dtype": "int64"}, {"dtype": "string"}


def chunk(columns, damages=(), split=None, first_row=0):
    return Chunk(Source(0, "/data/a.csv", "a.csv", "csv", split), 0, first_row, pa.RecordBatch.from_pydict(columns),
                 tuple(damages))  # fmt: skip


def spec(*columns, **fields):
    return FeatureSpec.model_validate({"columns": list(columns), "split": {"by": "column", "source": "part"}} | fields)


def parsed(column, values, said):
    """(values by row, reasons by row) of the one input `x`."""
    rows = chunk({"x": values, "part": pa.array(["train"] * len(values))})
    done = ingest(spec({"name": "x"} | column, inputs={"x": said}), rows)
    kept = [int(o[0].split(b":")[1]) for o in done.rows.column(ORIGIN).to_pylist()]
    reasons = {int(row["origin"].split(":")[1]): row["reason"] for row in done.rejected}
    return dict(zip(kept, done.rows.column("x").to_pylist(), strict=True)), reasons


# -- inputs -------------------------------------------------------------------------------------------------------

VOCABULARY, OPTIONAL = {"kind": "vocabulary"}, {"kind": "numeric", "missing": "mean"}
HASHED = {"kind": "hashed", "buckets": 9}


@pytest.mark.parametrize(
    ("column", "values", "said", "expected"),
    [
        (OPTIONAL, ["1.5", " -2e3", None, "NaN", "NA"], FLOAT, [[1.5], [-2000.0], [], [], []]),
        (OPTIONAL, ["0.1"], FLOAT, [[np.float32(0.1)]]),
        (OPTIONAL, [1, 2, None], FLOAT, [[1.0], [2.0], []]),
        (OPTIONAL, [True, False], FLOAT, [[1.0], [0.0]]),
        (OPTIONAL, [decimal.Decimal("1.25")], FLOAT, [[1.25]]),
        (OPTIONAL, ["?", "7"], FLOAT | {"na_values": ["?"]}, [[], [7.0]]),
        (VOCABULARY, ["1", "-2", None, "3.0"], INT | {"optional": True}, [[1], [-2], [], [3]]),
        (VOCABULARY, ["9007199254740993"], INT, [[9007199254740993]]),
        (VOCABULARY, [1.0, None], INT | {"optional": True}, [[1], []]),
        (VOCABULARY, ["a", None, "NA", "Ü"], STRING, [[b"a"], [], [b"NA"], ["Ü".encode()]]),
        (VOCABULARY, [1, None], STRING, [[b"1"], []]),
        (VOCABULARY, [1.0, 2.5, float("nan"), None], STRING, [[b"1"], [b"2.5"], [], []]),
        (VOCABULARY, [datetime.date(2020, 1, 2)], STRING, [[b"2020-01-02"]]),
        (VOCABULARY, [True], STRING, [[b"true"]]),
        (VOCABULARY, [["a", "b "], [], None, ["", "c", "a"]], STRING | {"multi_valued": True},
         [[b"a", b"b"], [], [], [b"c", b"a"]]),
        (VOCABULARY, ["a|b | c", None, "||", "d"], STRING | {"delimiter": "|", "multi_valued": True},
         [[b"a", b"b", b"c"], [], [], [b"d"]]),
        (VOCABULARY, ["1;2", "3"], INT | {"delimiter": ";", "multi_valued": True}, [[1, 2], [3]]),
        (VOCABULARY, ["1;?", "?"], INT | {"delimiter": ";", "multi_valued": True, "na_values": ["?"]}, [[1], []]),
        (VOCABULARY, [[1, None], [2]], INT | {"multi_valued": True}, [[1], [2]]),
        (HASHED, [b"\xff\x00"], STRING, [[b"\xff\x00"]]),
    ],
)  # fmt: skip
def test_what_a_client_would_send_of_a_value(column, values, said, expected):
    array = pa.array(values)
    assert parsed(column, array, said) == (dict(enumerate(expected)), {})
    # However the rows are cut into chunks.
    each = [parsed(column, array[i : i + 1], said)[0][0] for i in range(len(array))]
    assert each == expected


@pytest.mark.parametrize(
    ("column", "values", "said", "reasons"),
    [
        (OPTIONAL, ["1", "x", "1,5"], FLOAT, {1: "x: 'x' is no float32", 2: "x: '1,5' is no float32"}),
        (VOCABULARY, ["1", "1.5", "1e30"], INT, {1: "x: '1.5' is no int64", 2: "x: '1e30' is no int64"}),
        (VOCABULARY, ["1", None], INT, {1: "x is missing, and inputs.x is not optional"}),
        (VOCABULARY, ["1;2", "3;x"], INT | {"delimiter": ";", "multi_valued": True}, {1: "x: 'x' is no int64"}),
        ({"kind": "numeric"}, ["1", None], FLOAT | {"optional": True},
         {1: "x is missing, and columns.x says nothing of missing values"}),
        ({"kind": "numeric"}, ["1", "?"], FLOAT | {"na_values": ["?"]},
         {1: "x is missing, and columns.x says nothing of missing values"}),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be_parsed_rejects_its_row(column, values, said, reasons):
    kept, told = parsed(column, pa.array(values), said)
    assert told == reasons
    assert set(kept) == set(range(len(values))) - set(reasons)


MANY, NAN = FLOAT | {"multi_valued": True}, float("nan")
MANY_INT = INT | {"multi_valued": True, "optional": True}
PAIR, NEEDED = OPTIONAL | {"shape": 2}, {"kind": "numeric", "shape": [2, 1]}
BUCKETS = {"kind": "bucketized", "shape": 2, "boundaries": [0]}
NOTHING = "columns.x says nothing of missing values"


@pytest.mark.parametrize(
    ("column", "values", "said", "expected"),
    [
        (PAIR, [[1.0, None], None, [], [NAN, 2.0], [None, None]], MANY, [[1, NAN], [], [], [NAN, 2], [NAN, NAN]]),
        (BUCKETS, [[1, None], None, [3, 4]], MANY, [[1, NAN], [], [3, 4]]),
        (PAIR, ["1|", None, "", "NA", "?", "?| 2", "|"], MANY | {"delimiter": "|", "na_values": ["?"]},
         [[1, NAN], [], [], [], [], [NAN, 2], [NAN, NAN]]),
        (NEEDED, [[1, 2], [3.5, -4]], MANY, [[1, 2], [3.5, -4]]),
        (PAIR, [[1, 2], None], MANY_INT, [[1, 2], []]),
        (OPTIONAL | {"shape": 1}, [[1.5], [None], []], MANY, [[1.5], [NAN], []]),
        (OPTIONAL | {"shape": 1}, [1.5, None], FLOAT, [[1.5], []]),
    ],
)  # fmt: skip
def test_a_number_of_a_vector_that_is_missing_stays_in_its_place(column, values, said, expected):
    kept, reasons = parsed(column, pa.array(values), said)
    assert not reasons
    assert [len(row) for row in kept.values()] == [len(row) for row in expected]
    np.testing.assert_array_equal(np.concatenate(list(kept.values())), np.concatenate(expected))


@pytest.mark.parametrize(
    ("column", "values", "said", "reasons"),
    [
        (PAIR, [[1, 2], [1], [1, 2, None], []], MANY,
         {1: "x holds 1 number, and columns.x.shape says 2", 2: "x holds 3 numbers, and columns.x.shape says 2"}),
        (BUCKETS, [[1, 2], [1]], MANY, {1: "x holds 1 number, and columns.x.shape says 2"}),
        (NEEDED, [[1, 2], [1, None], [], [None, None], None], MANY,
         {1: f"x: number 2 is missing, and {NOTHING}", 2: f"x is missing, and {NOTHING}",
          3: f"x: number 1 is missing, and {NOTHING}", 4: f"x is missing, and {NOTHING}"}),
        (PAIR, ["1 2", "1 b", "1 2 3"], MANY | {"delimiter": " "},
         {1: "x: 'b' is no float32", 2: "x holds 3 numbers, and columns.x.shape says 2"}),
        (PAIR, [[1, 2], [None, 2]], MANY_INT, {1: "x: number 1 is missing, and an int64 cannot be"}),
    ],
)  # fmt: skip
def test_a_vector_of_another_shape_rejects_its_row(column, values, said, reasons):
    kept, told = parsed(column, pa.array(values), said)
    assert told == reasons
    assert set(kept) == set(range(len(values))) - set(reasons)


# -- inputs that run beside each other ----------------------------------------------------------------------------

MANY_STRINGS, MANY_FLOATS = STRING | {"multi_valued": True}, FLOAT | {"multi_valued": True}


def beside(x, w, said):
    """([values of x, those beside them] by row, reasons by row) of an input `x` that `w` weighs."""
    columns = [{"name": "x"} | HASHED, {"name": "v", "kind": "weighted", "of": "x", "weights": "w"}]
    done = ingest(spec(*columns, inputs=said), chunk({"x": x, "w": w, "part": pa.array(["train"] * len(x))}))
    kept = [int(o[0].split(b":")[1]) for o in done.rows.column(ORIGIN).to_pylist()]
    rows = zip(done.rows.column("x").to_pylist(), done.rows.column("w").to_pylist(), strict=True)
    reasons = {int(row["origin"].split(":")[1]): row["reason"] for row in done.rejected}
    return dict(zip(kept, map(list, rows), strict=True)), reasons


@pytest.mark.parametrize(
    ("x", "w", "said", "expected"),
    [
        # What is missing of x leaves no place behind, what is missing of w does.
        ([["a", None, "", "b"], []], [[1.0, 2.0, 3.0, 4.0], None], {"x": MANY_STRINGS, "w": MANY_FLOATS},
         [[[b"a", b"b"], [1, 4]], [[], []]]),
        ([["a", "b"]], [[None, float("nan")]], {"x": MANY_STRINGS, "w": MANY_FLOATS}, [[[b"a", b"b"], None]]),
        ([["a", "b"]], [[None, 7]], {"x": MANY_STRINGS, "w": INT | {"multi_valued": True}}, [[[b"a", b"b"], [0, 7]]]),
        (["a|?|b", None, "", "c"], ["1|2|NA", "", None, "4"],
         {"x": MANY_STRINGS | {"na_values": ["?"]}, "w": MANY_FLOATS},
         [[[b"a", b"b"], [1, None]], [[], []], [[], []], [[b"c"], [4]]]),
        # One of the two is not multi-valued.
        ([["a"], []], [1.0, None], {"x": MANY_STRINGS, "w": FLOAT | {"optional": True}}, [[[b"a"], [1]], [[], []]]),
        # Neither is: each is missing by itself, as it is without the other.
        (["a", None, "b"], [1.0, 2.0, None], {"x": STRING, "w": FLOAT | {"optional": True}},
         [[[b"a"], [1]], [[], [2]], [[b"b"], []]]),
    ],
)  # fmt: skip
def test_values_and_what_runs_beside_them(x, w, said, expected):
    def same(told, of):
        if of is None:
            return np.isnan(told).all()
        return len(told) == len(of) and all(np.isnan(a) if b is None else a == b for a, b in zip(told, of, strict=True))

    for first in range(len(x)):  # however the rows are cut into chunks
        kept, reasons = beside(pa.array(x)[first:], pa.array(w)[first:], said)
        assert reasons == {}
        assert [told for told, _ in kept.values()] == [of for of, _ in expected[first:]]
        for (_, told), (_, of) in zip(kept.values(), expected[first:], strict=True):
            assert same(told, of)


def test_a_row_with_more_values_of_one_is_rejected():
    x, w = [["a", "b"], ["a", ""], None, ["a"], [], ["a", "b"]], [[1.0], [1.0, 2.0], [1.0], None, None, [1.0] * 3]
    kept, reasons = beside(pa.array(x), pa.array(w), {"x": MANY_STRINGS, "w": MANY_FLOATS})
    assert reasons == {
        0: "x has 2 values and w, which runs beside it, 1",
        2: "x has 0 values and w, which runs beside it, 1",
        3: "x has 1 value and w, which runs beside it, 0",
        5: "x has 2 values and w, which runs beside it, 3",
    }
    assert kept == {1: [[b"a"], [1]], 4: [[], []]}


def test_a_row_of_one_value_beside_many_is_rejected():
    said = {"x": MANY_STRINGS, "w": FLOAT | {"optional": True}}
    kept, reasons = beside(pa.array([["a", "b"], ["a"], ["a"]]), pa.array([1.0, 2.0, None]), said)
    assert reasons == {
        0: "x has 2 values and w, which runs beside it, 1",
        2: "x has 1 value and w, which runs beside it, 0",
    }
    assert kept == {1: [[b"a"], [2]]}


# -- labels -------------------------------------------------------------------------------------------------------

NONE, ODD = "label y: y is missing", "label y: 'x' is none of its values"


@pytest.mark.parametrize(
    ("label", "values", "targets", "unlabelled", "reasons"),
    [
        ({}, ["1.5", "2"], [1.5, 2.0], 0, []),
        ({}, ["1.5", None, "x"], [1.5], 0, [NONE, ODD]),
        ({"missing": "drop"}, ["1.5", None, "x"], [1.5], 1, [ODD]),
        ({"missing": "keep"}, ["1.5", None, "x"], [1.5, None], 0, [ODD]),
        ({"above": 1.5}, ["1.5", "2", None], [0, 1], 0, [NONE]),
        ({"above": 1.5, "missing": "keep"}, ["1.5", "2", None], [0, 1, -1], 0, []),
        ({"positive": "a"}, ["a", "b", None], [1, 0], 0, [NONE]),
        ({"positive": "a", "negative": "b"}, ["a", "b", "x"], [1, 0], 0, [ODD]),
        ({"classes": ["b", "a"]}, ["a", "b", "x"], [1, 0], 0, [ODD]),
        ({"classes": 3}, ["0", "2", "x", "3"], [0, 2], 0, [ODD, "label y: '3' is none of its values"]),
        ({"classes": 3, "missing": "drop"}, ["0", None], [0], 1, []),
    ],
)
def test_labels(label, values, targets, unlabelled, reasons):
    rows = {"x": ["1"] * len(values), "y": values, "part": ["train"] * len(values)}
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}, labels=[{"name": "y"} | label]), chunk(rows))
    written = [None if np.isnan(v) else v for (v,) in done.rows.column("y").to_pylist()]
    assert written == targets
    assert [row["reason"] for row in done.rejected] == reasons
    assert done.account["unlabelled"] == unlabelled


# -- the account --------------------------------------------------------------------------------------------------

FATES = {
    "out": {"x": "1", "y": "0", "w": "1"},
    "filtered": {"x": "1", "y": "0", "w": "0"},
    "unlabelled": {"x": "1", "y": None, "w": "1"},
    "rejected": {"x": "?", "y": "0", "w": "1"},
    "rejected for its label": {"x": "1", "y": "?", "w": "1"},
    # What comes first decides: filtered before rejected before unlabelled.
    "filtered though it could not be parsed": {"x": "?", "y": "?", "w": None},
    "rejected though it has no label": {"x": "?", "y": None, "w": "1"},
}
ALL = {"inputs": {"x": FLOAT}, "labels": [{"name": "y", "missing": "drop"}], "where": "w == 1"}


@given(st.lists(st.sampled_from(sorted(FATES)), max_size=30), st.integers(0, 3))
def test_every_row_has_one_fate(fates, malformed):
    rows = {name: pa.array([FATES[fate][name] for fate in fates], pa.string()) for name in "xyw"}
    rows["part"] = pa.array(["train"] * len(fates), pa.string())
    done = ingest(spec(NUMERIC, **ALL), chunk(rows, [Damage("bad", record=7 + i) for i in range(malformed)]))
    expected = {name: sum(fate.split(" ")[0] == name for fate in fates) for name in ("out", "filtered", "unlabelled")}
    expected["rejected"] = len(fates) - sum(expected.values()) + malformed
    assert done.account == {"in": len(fates) + malformed} | expected
    assert (done.rows.num_rows, len(done.splits), len(done.rejected)) == (
        expected["out"], expected["out"], expected["rejected"]
    )  # fmt: skip


@pytest.mark.parametrize("missing", [None, 0.5])
def test_a_row_without_a_weight_is_rejected_where_none_stands_in(missing):
    weight = {"source": "w"} | ({} if missing is None else {"missing": missing})
    rows = chunk({"x": [1.0] * 5, "part": ["train"] * 5, "w": ["2", "", "-1", "many", "0"]})
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}, weight=weight), rows)
    assert done.rows.column("__weight__").to_pylist() == [[2.0], *([] if missing is None else [[missing]]), [0.0]]
    assert {row["origin"]: row["reason"] for row in done.rejected} == {
        "a.csv:2": "weight: w, '-1', is no number of 0 or more",
        "a.csv:3": "weight: w, 'many', is no number of 0 or more",
    } | ({"a.csv:1": "weight: w is missing"} if missing is None else {})
    assert "__weight__" not in ingest(spec(NUMERIC, inputs={"x": FLOAT}, weight=weight), rows, False).rows.schema.names


def test_a_key_is_text_however_it_lies_in_the_data():
    key = {"id": pa.array([1.0, None]), "day": pa.array([datetime.date(2013, 1, 2), None])}
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}, key=[*key]), chunk({"x": [1.0] * 2, "part": ["train"] * 2} | key))
    assert done.rows.column("__key__.id").to_pylist() == [[b"1"], [b""]]
    assert done.rows.column("__key__.day").to_pylist() == [[b"2013-01-02"], [b""]]


def test_a_rejected_row_keeps_its_reason_and_its_place():
    rows = {"x": ["1", "?", "3"], "note": ["a", "b", "c"], "part": ["train"] * 3}
    damages = [Damage("too long", record=9, shown="1,2,3,4"), Damage("cut off", offset=77, shown="1,")]
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}), chunk(rows, damages, first_row=1000))
    assert done.rejected == (
        {"origin": "a.csv:1001", "line": None, "offset": None, "column": "x", "reason": "x: '?' is no float32",
         "row": {"x": "?", "note": "b", "part": "train"}},
        {"origin": "a.csv", "line": 9, "offset": None, "column": None, "reason": "too long", "row": "1,2,3,4"},
        {"origin": "a.csv", "line": None, "offset": 77, "column": None, "reason": "cut off", "row": "1,"},
    )  # fmt: skip
    assert done.rows.column(ORIGIN).to_pylist() == [[b"a.csv:1000"], [b"a.csv:1002"]]


def test_a_damaged_row_is_rejected_whatever_else_is_true_of_it():
    rows = {"x": [None, "?", "3", "4"], "y": [None, "0", "0", None], "w": [None, "1", "0", "1"], "part": ["train"] * 4}
    damages = [
        Damage("no JSON", 0, shown="{", offset=5), Damage("y is no UTF-8", 1, column="y"),
        Damage("y is no UTF-8", 2, column="y"),
    ]  # fmt: skip
    done = ingest(spec(NUMERIC, **ALL), chunk(rows, damages))
    assert done.account == {"in": 4, "out": 0, "filtered": 0, "unlabelled": 1, "rejected": 3}
    assert [(row["origin"], row["column"], row["reason"], row["offset"]) for row in done.rejected] == [
        ("a.csv:0", None, "no JSON", 5),
        ("a.csv:1", "y", "y is no UTF-8", None),
        ("a.csv:2", "y", "y is no UTF-8", None),
    ]  # fmt: skip
    assert [row["row"] for row in done.rejected][:2] == ["{", {"x": "?", "y": "0", "w": "1", "part": "train"}]


def test_the_column_at_fault_is_named():
    fields = {"labels": [{"name": "late", "source": "y", "above": 1}], "weight": {"source": "w"},
              "split": {"by": "time", "source": "day", "test": "2013-11-01"},
              "inputs": {"x": FLOAT, "z": STRING | {"optional": True}}}  # fmt: skip
    good = {"x": "1", "y": "1", "w": "1", "day": "2013-10-01"}
    rows = [good | {name: "?"} for name in good] + [good | {"x": "?", "day": "?"}, good]
    columns = {name: [row[name] for row in rows] for name in good}
    done = ingest(spec(NUMERIC, {"name": "z"} | HASHED, **fields), chunk(columns))
    assert [row["column"] for row in done.rejected] == ["x", "y", "w", "day", "x"]
    # A column that a file lacks, which only an optional input may, is missing in every row of it.
    assert done.rows.column("z").to_pylist() == [[]]


def test_a_rejected_row_of_any_type_can_be_written():
    rows = {
        "x": ["?"], "part": ["train"], "bytes": [b"\xff" * 900], "when": [datetime.datetime(2020, 1, 2, 3)],
        "time": [datetime.time(4)], "took": [datetime.timedelta(days=1)], "price": [decimal.Decimal("1.50")],
        "nan": [float("nan")], "inf": [float("inf")], "list": [[b"x", None]], "parts": [{"a": b"y"}], "none": [None],
    }  # fmt: skip
    (rejected,) = ingest(spec(NUMERIC, inputs={"x": FLOAT}), chunk(rows)).rejected
    row = json.loads(json.dumps(rejected["row"], allow_nan=False))
    assert len(row.pop("bytes")["b64"]) == 400  # 300 bytes of it
    assert row == {
        "x": "?", "part": "train", "when": "2020-01-02T03:00:00", "time": "04:00:00", "took": "1 day, 0:00:00",
        "price": "1.50", "nan": None, "inf": "inf", "list": [{"b64": "eA=="}, None], "parts": {"a": {"b64": "eQ=="}},
        "none": None,
    }  # fmt: skip


def test_rows_to_predict_for_need_no_label_and_are_not_filtered():
    done = ingest(spec(NUMERIC, **ALL), chunk({"x": ["1", "?"]}), labelled=False)
    assert done.account == {"in": 2, "out": 1, "filtered": 0, "unlabelled": 0, "rejected": 1}
    assert done.rows.schema.names == ["x", ORIGIN]


# -- splits -------------------------------------------------------------------------------------------------------

PART = {"x": ["1"] * 4, "part": ["train", "eval", "test", None]}


@pytest.mark.parametrize(
    ("named", "splits"),
    [
        (None, [0, 1, 2, 0]),
        ("train", [0, 0, 0, 0]),
        ("eval", [1, 1, 1, 1]),
        ("test", [2, 2, 2, 2]),
        ("train+eval", [0, 1, 1, 0]),  # nothing of a named training file is tested on
    ],
)
def test_the_rule_assigns_splits_where_the_caller_does_not(named, splits):
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}), chunk(PART, split=named))
    assert done.splits.tolist() == splits


def test_splits_stay_with_their_rows():
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}), chunk(PART | {"x": ["1", "?", "1", "1"]}))
    assert done.splits.tolist() == [0, 2, 0]


def test_rows_of_one_key_share_a_split_however_the_rest_differs():
    hashed = {"split": {"by": "hash"}, "inputs": {"x": FLOAT}}
    rows = {"x": [str(i) for i in range(200)], "id": [f"{i % 20}" for i in range(200)]}
    by_key = ingest(spec(NUMERIC, key=["id"], **hashed), chunk(rows)).splits.reshape(10, 20)
    assert (by_key == by_key[0]).all()
    by_row = ingest(spec(NUMERIC, **hashed), chunk(rows)).splits.reshape(10, 20)
    assert not (by_row == by_row[0]).all()


def test_a_row_that_no_split_can_be_told_of_is_rejected():
    split = {"by": "time", "source": "day", "test": "2013-11-01"}
    rows = {"x": ["1"] * 4, "day": ["2013-10-31", "soon", "2013-11-01", None]}
    done = ingest(spec(NUMERIC, inputs={"x": FLOAT}, split=split), chunk(rows))
    assert done.splits.tolist() == [0, 2, 0]
    assert [(row["origin"], row["reason"]) for row in done.rejected] == [("a.csv:1", "split: 'soon' is no time")]
