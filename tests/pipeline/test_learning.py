"""What the graph is fed while it learns: labels and folds, where a column asks for them."""

import numpy as np
import pyarrow as pa
import tensorflow as tf

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import learning
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.sources import Chunk, Source

NUMERIC = {"name": "x", "kind": "numeric"}
TOLD = {"name": "town", "kind": "vocabulary", "mutual_information": "late"}
ENCODED = {"name": "town_y", "kind": "target_encoded", "source": "town", "label": "y"}
LABELS = [{"name": "late", "source": "y", "above": 0}, {"name": "y"}]


def spec(*columns, **fields):
    inputs = {name: {"dtype": dtype} for name, dtype in (("x", "float32"), ("town", "string"))}
    read = {one.get("source", one["name"]) for one in columns}
    written = {"columns": list(columns), "labels": LABELS, "split": {"by": "column", "source": "part"}}
    return FeatureSpec.model_validate(written | {"inputs": {n: inputs[n] for n in inputs if n in read}} | fields)


def added(spec, first_row=0, count=4, **columns):
    rows = {"x": [1.0] * count, "town": ["a"] * count, "y": [float(i) for i in range(count)], "part": ["train"] * count}
    source = Source(0, "/data/a.csv", "a.csv", True, None)
    chunk = Chunk(source, 0, first_row, pa.RecordBatch.from_pydict(rows | columns), ())
    parsed = ingest(spec, chunk).rows
    made = learning.added(spec, parsed)
    assert made.schema.names[: len(parsed.schema.names)] == parsed.schema.names
    return {name: made.column(name).to_pylist() for name in made.schema.names[len(parsed.schema.names) :]}


def folds(spec, **fields):
    return [hash_ for (hash_,) in added(spec, **fields)[learning.FOLD]]


def test_nothing_is_added_where_no_column_learns_from_a_label():
    assert learning.feature_spec(spec(NUMERIC)) == {}
    assert added(spec(NUMERIC)) == {}


def test_the_labels_that_columns_learn_from():
    assert learning.feature_spec(spec(NUMERIC, TOLD)) == {"__label__.late": tf.io.FixedLenFeature([], tf.int64)}
    assert added(spec(NUMERIC, TOLD)) == {"__label__.late": [[0], [1], [1], [1]]}


def test_folds_where_a_column_has_a_training_form():
    told = added(spec(TOLD, ENCODED))
    assert told.keys() == {"__label__.late", "__label__.y", learning.FOLD}
    assert told["__label__.y"] == [[0.0], [1.0], [2.0], [3.0]]
    assert learning.feature_spec(spec(ENCODED)) == {
        "__label__.y": tf.io.FixedLenFeature([], tf.float32),
        learning.FOLD: tf.io.FixedLenFeature([], tf.int64),
    }


def test_a_fold_is_that_of_where_a_row_stands():
    """Whatever the chunk that it is read in, and the rows beside it."""
    whole = folds(spec(ENCODED), count=2_000)
    assert folds(spec(ENCODED), first_row=500, count=3) == whole[500:503]
    assert min(whole) >= 0
    shares = np.bincount(np.array(whole) % 5, minlength=5) / 2_000
    assert shares.min() > 0.17
    assert shares.max() < 0.23


def test_a_fold_is_that_of_the_key():
    keyed = spec(ENCODED, key=["day", "town"])
    told = folds(keyed, day=["1", "2", "1", None], town=["a", "a", "a", None])
    assert told[0] == told[2]
    assert len(set(told)) == 3
    assert folds(keyed, first_row=9, day=[1.0, 2.0, 1.0, None], town=["a", "a", "a", None]) == told
    assert folds(keyed, day=["a"] * 4, town=["1"] * 4)[0] != told[0]
