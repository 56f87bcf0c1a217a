"""Drawn columns over drawn rows: ours beside tf.feature_column, ids exactly and numbers to 1e-6."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, seed, settings
from tensorflow_transform import annotators
from tensorflow_transform.graph_context import TFGraphContext

from tests.feature_specs import drawn
from tests.feature_specs.in_tensorflow import InTensorFlow, ids_by_row, sparse, table
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.features import Categorical
from tfloom.feature_specs.inputs import TENSORFLOW_DTYPES
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.trainers.inputs import dense

nan, inf = float("nan"), float("inf")
Rows = list[dict[str, list[Any]]]


def test_some_hundred_cases():
    assert agreeing(specs=4, batches=110) >= 400


@pytest.mark.slow
@pytest.mark.parametrize("part", range(5))
def test_ten_thousand_cases(part):
    assert agreeing(specs=8, batches=270, skip=5 + 8 * part) >= 2_000


def agreeing(specs: int, batches: int, skip: int = 1) -> int:
    """How many cases agree, a case being a spec with a batch.

    skip: this many specs; the first that hypothesis draws is the simplest.
    """
    drawn_specs = drawn.examples(drawn.columns(), skip + specs)
    return sum(agreeing_batches(Both(drawn_specs[i]), batches, i) for i in range(skip, skip + specs))


def agreeing_batches(both: Both, count: int, number: int) -> int:
    """How many batches agree, each counted once."""
    seen = set()

    @seed(number)
    @settings(max_examples=count, database=None, deadline=None)
    @given(drawn.rows)
    def agree(rows: Rows) -> None:
        both.compare(rows)
        seen.add(repr(rows))

    agree()
    return len(seen)


@pytest.mark.parametrize(
    ("columns", "rows"),
    [
        ([{"name": "v", "kind": "vocabulary", "source": "words", "vocabulary": ["", "a"], "oov_buckets": 2},
          {"name": "mean", "kind": "embedded", "of": "v", "dimension": 2}],
         [{"words": ["", "a", "a", "z"]}, {"words": [""]}, {"words": []}]),
        ([{"name": "c", "kind": "crossed", "of": [{"input": "words"}, {"input": "codes"}], "buckets": 9}],
         [{"words": ["", "a"], "codes": [-1, 2**63 - 1]}, {"words": ["a"], "codes": []}]),
        ([{"name": "b", "kind": "bucketized", "source": "number", "boundaries": [0.0, 0.1]}],
         [{"number": [nan]}, {"number": []}, {"number": [inf]}, {"number": [0.1]}, {"number": [-0.0]}]),
        ([{"name": "b", "kind": "bucketized", "source": "vector", "shape": 3, "boundaries": [0.0, 0.1]},
          {"name": "c", "kind": "crossed", "of": ["b", {"input": "words"}], "buckets": 9},
          {"name": "in", "kind": "indicator", "of": "b"}],
         [{"vector": [nan, 0.1, -1.0], "words": ["a", ""]}, {"vector": [], "words": ["a"]}]),
        ([{"name": "h", "kind": "hashed", "source": "words", "buckets": 2},
          {"name": "w", "kind": "weighted", "of": "h", "weights": "words_weights"},
          {"name": "w_in", "kind": "indicator", "of": "w"}],
         [{"words": ["a", "", "b", "b"], "words_weights": [0, 5, -1, 3]}, {"words": [], "words_weights": []}]),
    ],
)  # fmt: skip
def test_a_case_as_a_failure_prints_it(columns, rows):
    Both(columns).compare(rows)


def test_a_difference_is_told_with_its_case():
    both = Both([
        {"name": "other", "kind": "hashed", "source": "count", "buckets": 3},
        {"name": "v", "kind": "vocabulary", "source": "words", "vocabulary": ["a"]},
        {"name": "v_in", "kind": "indicator", "of": "v"},
    ])  # fmt: skip
    both.ours = lambda rows: {"other": [[0]], "v": [[0]], "v_in": np.array([[2.0]], np.float32)}
    both.theirs = lambda rows: {"other": [[0]], "v": [[0]], "v_in": np.array([[1.0]], np.float32)}
    with pytest.raises(AssertionError) as error:
        both.compare([{"words": ["a"], "count": [1]}])
    assert str(error.value).splitlines()[0] == (
        "Both([{'name': 'v', 'kind': 'vocabulary', 'source': 'words', 'vocabulary': ['a']}, "
        "{'name': 'v_in', 'kind': 'indicator', 'of': 'v'}]).compare([{'words': ['a']}])"
    )


def close(ours: np.ndarray, theirs: np.ndarray) -> bool:
    """Of numbers [B, D], to 1e-6 of a row's largest: rounding is of the terms of a sum, not of what is left of them."""
    finite = np.where(np.isfinite(theirs), np.abs(theirs), 0)
    largest = finite.max(axis=-1, keepdims=True, initial=1)
    return np.allclose(ours / largest, theirs / largest, 1e-6, 1e-6, equal_nan=True)


class Both:
    """Columns, traced once on each side.

    ours and theirs: rows -> by column its ids or weights, a list a row, or float32 [B, D].
    """

    def __init__(self, columns: list[dict[str, Any]]) -> None:
        self.columns = {column["name"]: column for column in columns}
        self.ours, self.theirs = ours(columns), InTensorFlow(columns)

    def compare(self, rows: Rows) -> None:
        rows = [{name: row.get(name, [0] if name == "count" else []) for name in drawn.INPUTS} for row in rows]
        ours, theirs = self.ours(rows), self.theirs(rows)
        assert ours.keys() == theirs.keys() == self.columns.keys()
        for name, value in ours.items():
            if isinstance(value, list):
                equal = value == theirs[name]
            else:
                equal = value.shape == theirs[name].shape and close(value, theirs[name])
            if not equal:
                raise AssertionError(f"{self._case(name, rows)}\n{name}: ours {value}, theirs {theirs[name]}")

    def _case(self, name: str, rows: Rows) -> str:
        """The column that differs with those it is made of, and of the rows what they read: to be pasted."""
        needed, inputs, left = set(), set(), [name]
        while left:
            column = self.columns[left.pop()]
            needed.add(column["name"])
            inputs |= {column[field] for field in ("source", "weights") if field in column}
            of = column.get("of", [])
            for part in [of] if isinstance(of, str) else of:
                if isinstance(part, str):
                    left.append(part)
                else:
                    inputs.add(part["input"])
        columns = [column for column in self.columns.values() if column["name"] in needed]
        return f"Both({columns}).compare({[{i: row[i] for i in row if i in inputs} for row in rows]})"


def ours(columns: list[dict[str, Any]]) -> Any:
    """Rows -> what preprocessing_fn and encode make of them."""
    read = FeatureSpec.model_validate({"columns": columns}).input_names
    spec = FeatureSpec.model_validate({"inputs": {name: drawn.INPUTS[name] for name in read}, "columns": columns})
    num_buckets = spec.num_buckets({})
    tables = {
        c.name: {key: tf.constant(table(*v.shape)) for key, v in c.variables(num_buckets).items()} for c in spec.columns
    }

    def encoded(raw: dict[str, tf.SparseTensor]) -> dict[str, Any]:
        made = preprocessing_fn(spec)(raw)
        batch = Encoded(spec.by_name, {name: dense(value) for name, value in made.items()}, tables, num_buckets)
        for column in spec.columns:
            if column.feature_type() is not Categorical:
                made[column.name] = batch.feature(column.name).values
        return made

    raw = {name: tf.SparseTensorSpec([None, None], TENSORFLOW_DTYPES[spec.inputs[name].dtype]) for name in read}
    # As tf.Transform runs it: its tables made outside of the graph, and kept for as long as the graph.
    with TFGraphContext(tf.Module()), annotators.object_tracker_scope(tracker := annotators.ObjectTracker()):
        traced = tf.function(encoded, autograph=False).get_concrete_function(raw)

    def run(rows: Rows, tracker: Any = tracker) -> dict[str, Any]:
        fed = {}
        for name, told in raw.items():
            value = sparse([row[name] for row in rows], told.dtype)
            fed[name] = tf.SparseTensor(value.indices, value.values, value.dense_shape)
        return {
            name: ids_by_row(value) if isinstance(value, tf.SparseTensor) else value.numpy()
            for name, value in traced(fed).items()
        }

    return run
