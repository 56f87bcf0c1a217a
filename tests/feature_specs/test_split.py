"""Splits: which split a row belongs to, whatever other rows there are."""

import datetime
import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.split import ByColumn, ByHash, ByTime
from tfloom.feature_specs.validation import validate
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import chunks, find

TRAIN, EVAL, TEST = 0, 1, 2


def batch(**columns):
    return pa.record_batch({k: v if isinstance(v, pa.Array) else pa.array(v) for k, v in columns.items()})


def assigned(rule, **columns):
    return rule.assign(batch(**columns)).tolist()


# -- by hash ----------------------------------------------------------------------------------------------------------


def test_the_shares_are_those_asked_for():
    splits = ByHash(of=("id",), eval=0.2, test=0.1).assign(batch(id=range(20_000)))
    # Four standard deviations of a share p of n rows: 4 sqrt(p (1 - p) / n) = .0113 and .0085.
    assert np.mean(splits == EVAL) == pytest.approx(0.2, abs=0.0113)
    assert np.mean(splits == TEST) == pytest.approx(0.1, abs=0.0085)


def test_a_key_keeps_its_split_from_release_to_release():
    # blake2b of 8 bytes, big-endian, over 2^64: .25379 .51738 .21581 .70956 .06581 .18198 .42368 .27566
    rule = ByHash(of=("id",), test=0.25, eval=0.25)
    assert assigned(rule, id=list("abcdefgh")) == [EVAL, TRAIN, TEST, TRAIN, TEST, TEST, EVAL, EVAL]


KEYS = st.one_of(st.integers(-(2**63), 2**63 - 1), st.none())
FLOATS = st.one_of(st.floats(), st.none(), st.integers(-(2**70), 2**70).map(float))


@given(st.lists(st.tuples(KEYS, FLOATS, st.none() | st.text(max_size=3)), min_size=1, max_size=20), st.randoms())
def test_the_split_of_a_key_depends_on_the_key_alone(keys, order):
    rule, shuffled = ByHash(of=("i", "f", "s"), eval=0.3, test=0.3), order.sample(keys, len(keys))
    types = (pa.int64(), pa.float64(), pa.string())

    def splits(rows):
        columns = [pa.array(column, kind) for column, kind in zip(zip(*rows, strict=True), types, strict=True)]
        return rule.assign(pa.record_batch(columns, ["i", "f", "s"])).tolist()

    alone = [splits([key])[0] for key in keys]
    assert splits(keys) == alone
    assert splits(shuffled) == [splits([key])[0] for key in shuffled]


def test_a_key_is_the_same_from_csv_and_from_parquet():
    rule = ByHash(of=("id",), eval=0.3, test=0.3)
    texts = assigned(rule, id=[str(i) for i in range(50)])
    assert len(set(texts)) == 3
    assert assigned(rule, id=list(range(50))) == texts
    assert assigned(rule, id=[float(i) for i in range(50)]) == texts
    assert assigned(rule, id=pa.array([float(i) for i in range(50)], pa.float32())) == texts
    assert assigned(rule, id=pa.array([str(i) for i in range(50)]).dictionary_encode()) == texts
    days = [datetime.date(2013, 1, 1) + datetime.timedelta(i) for i in range(50)]
    assert assigned(rule, id=days) == assigned(rule, id=[day.isoformat() for day in days])


@pytest.mark.parametrize("large", [2.0**53, 2.0**53 + 2, -(2.0**60), 2.0**63, 1e300, float("inf")])
def test_a_large_float_is_a_key_of_its_own(large):
    rule = ByHash(of=("id",), eval=0.3, test=0.3)
    alone = assigned(rule, id=[large])
    for other in (None, float("nan"), 1.5, 2.0):
        assert assigned(rule, id=[large, other])[:1] == alone


def test_nan_is_the_key_that_a_missing_value_is():
    rule = ByHash(of=("id", "other"), eval=0.3, test=0.3)
    others = list(range(40))
    nan = assigned(rule, id=pa.array([float("nan")] * 40), other=others)
    assert len(set(nan)) == 3
    assert nan == assigned(rule, id=pa.array([None] * 40, pa.float64()), other=others)


def test_a_group_is_not_torn_apart():
    rows = [(day, flight) for day in range(30) for flight in range(10)]
    random.Random(1).shuffle(rows)
    splits = assigned(ByHash(of=("day",), eval=0.3, test=0.3), day=[d for d, _ in rows], flight=[f for _, f in rows])
    by_day = {}
    for (day, _), split in zip(rows, splits, strict=True):
        by_day.setdefault(day, set()).add(split)
    assert {len(found) for found in by_day.values()} == {1}
    assert {TRAIN, EVAL, TEST} == set(splits)


def test_parts_of_a_key_are_not_run_together():
    rule, digits = ByHash(eval=0.3, test=0.3), [str(i) for i in range(50)]
    assert assigned(rule, a=["1" + i for i in digits], b=["2"] * 50) != assigned(
        rule, a=["1"] * 50, b=[i + "2" for i in digits]
    )


def test_lists_and_bytes_can_be_keys():
    rule = ByHash(eval=0.3, test=0.3)
    splits = assigned(rule, tags=[[i, i + 1] for i in range(40)], png=[bytes([i]) for i in range(40)])
    assert set(splits) == {TRAIN, EVAL, TEST}
    assert splits[:5] == assigned(rule, tags=[[i, i + 1] for i in range(5)], png=[bytes([i]) for i in range(5)])


# -- by column --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "values", "expected"),
    [
        ({}, ["train", "eval", "test", None, "x"], [TRAIN, EVAL, TEST, TRAIN, TRAIN]),
        ({"eval": ["validation", "dev"], "test": ["holdout"]}, ["dev", "holdout", "validation", "test"],
         [EVAL, TEST, EVAL, TRAIN]),
        ({"eval": 8, "test": [9, 10]}, [7, 8, 9, 10, None], [TRAIN, EVAL, TEST, TEST, TRAIN]),
        ({"eval": 8, "test": 9}, [8.0, 9.0, 8.5, float("nan")], [EVAL, TEST, TRAIN, TRAIN]),
        ({"eval": 8, "test": 9}, ["8", "9", "08"], [EVAL, TEST, TRAIN]),
        ({"eval": [], "test": True}, [True, False, None], [TEST, TRAIN, TRAIN]),
        ({"eval": [], "test": True}, ["yes", "no", "True"], [TEST, TRAIN, TEST]),
    ],
)  # fmt: skip
def test_by_column(fields, values, expected):
    assert assigned(ByColumn(by="column", source="fold", **fields), fold=values) == expected


# -- by time ----------------------------------------------------------------------------------------------------------

RULE = ByTime(by="time", source="t", eval=datetime.date(2013, 11, 1), test="2013-12-01T06:00:00")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2013-10-31", "2013-11-01", "2013-12-01", "2013-12-02", None, "NA"], [TRAIN, EVAL, EVAL, TEST, TRAIN, TRAIN]),
        (["2013-12-01T05:59:59.999999", "2013-12-01 06:00"], [EVAL, TEST]),
        (["2013-12-01T05:30:00Z", "2013-12-01T07:30:00+01:00", "2013-12-01T07:00:00+01:00"], [EVAL, TEST, TEST]),
        (["2013-12-01T06:00:00.000000001", "2013-10-01"], [TEST, TRAIN]),
        ([datetime.date(2013, 10, 31), datetime.date(2013, 11, 1), None], [TRAIN, EVAL, TRAIN]),
        (pa.array([datetime.datetime(2013, 12, 1, 6)], pa.timestamp("ns")), [TEST]),
        (pa.array([1385877599999999999, 1385877600000000001], pa.timestamp("ns")), [EVAL, TEST]),
        (pa.array([datetime.datetime(2013, 12, 1, 6)], pa.timestamp("s", "UTC")), [TEST]),
        (pa.array([None, None]), [TRAIN, TRAIN]),
    ],
)
def test_by_time(values, expected):
    assert assigned(RULE, t=values) == expected


def test_a_time_with_a_zone_is_that_moment():
    rule = ByTime(by="time", source="t", test="2013-12-01T00:00:00+06:00")
    assert assigned(rule, t=["2013-11-30T17:59:59", "2013-11-30T18:00:00"]) == [TRAIN, TEST]


def test_a_text_that_is_no_time_is_in_no_split():
    assert assigned(RULE, t=["2013-11-01", "soon", None, "01/02/2013", "2013-12-02T00:00:00Z"]) == [1, -1, 0, -1, 2]


def test_a_column_that_holds_no_times():
    with pytest.raises(DataError) as error:
        RULE.assign(batch(t=[20131101]))
    assert error.value.what == "split.source: 't': holds no times"
    assert error.value.received == "int64"


# -- rules that cannot be, and rows that are named --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("split", "place", "expected"),
    [
        ({"by": "hash", "eval": 0.5, "test": 0.5}, "split", "eval and test hold out everything, 0.5 + 0.5"),
        ({"by": "hash", "eval": float("nan")}, "split.eval", "a finite number"),
        ({"by": "hash", "eval": -0.1}, "split.eval", "greater than or equal to 0"),
        ({"by": "hash", "of": "date"}, "split.of", "a list"),
        ({"by": "column"}, "split.source", "a value for 'source'"),
        ({"by": "column", "source": "f", "eval": "x", "test": ["x"]}, "split", "names 'x' more than once"),
        ({"by": "time", "source": "t", "eval": 20131101}, "split.eval", "a date or a time, such as 2013-11-01"),
        (
            {"by": "time", "source": "t", "eval": "2013-12-01", "test": "2013-11-01"},
            "split",
            "which is not before test",
        ),
        ({"by": "hsh"}, "split.by", "'hash', or another of: column, hash, time"),
        ({"eval": 0.2}, "split", "a value for 'by'"),
    ],
)
def test_what_it_cannot_be(split, place, expected):
    with pytest.raises(SpecError) as error:
        validate({"columns": [{"name": "x", "kind": "numeric"}], "split": split}, FeatureSpec, "spec")
    assert error.value.what.removeprefix("spec: ").split(": ")[0] == place
    assert expected in error.value.expected


def splits_of(tmp_path, named, **fields):
    """The splits of 200 rows of each of the named inputs, by the ids that they were given."""
    spec = FeatureSpec.model_validate({"columns": [{"name": "x", "kind": "numeric"}], "key": ["id"]} | fields)
    for split in named:
        (tmp_path / f"{split}.csv").write_text("id,x\n" + "".join(f"{i},{i}.5\n" for i in range(200)))
    sources = find({split: tmp_path / f"{split}.csv" for split in named}, tmp_path)
    spec = resolve(spec, sources)
    return {source.split: ingest(spec, next(chunks(source))).splits.tolist() for source in sources}


def test_the_rule_deals_by_the_key_of_the_spec(tmp_path):
    (splits,) = splits_of(tmp_path, [None]).values()
    assert splits == assigned(ByHash(of=("id",)), id=[str(i) for i in range(200)])


def test_a_named_input_is_its_split(tmp_path):
    splits = splits_of(tmp_path, ["train", "eval", "test"])
    assert {split: set(found) for split, found in splits.items()} == {"train": {0}, "eval": {1}, "test": {2}}


def test_without_a_named_eval_the_rule_holds_rows_of_train_out(tmp_path):
    splits = splits_of(tmp_path, ["train+eval", "test"], split={"by": "hash", "eval": 0.2, "test": 0.1})
    (by_rule,) = splits_of(tmp_path, [None], split={"by": "hash", "eval": 0.2, "test": 0.1}).values()
    assert splits["train+eval"] == [min(split, 1) for split in by_rule]
    assert set(splits["test"]) == {2}
