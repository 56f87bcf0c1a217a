"""tf.Examples by columns, beside protocol buffers' own."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from tfx_bsl.coders import example_coder

from tfloom.pipeline.examples import serialized

VALUES = {
    pa.int64(): st.one_of(st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, 1, 127, 128, 16383, 16384, -1])),
    pa.float32(): st.floats(width=32),
    pa.binary(): st.one_of(st.binary(max_size=5), st.sampled_from([b"x" * 127, b"x" * 128, b"y" * 20_000])),
}

NAMED = st.characters(codec="utf-8", exclude_characters="\0")


@st.composite
def batches(draw):
    rows = draw(st.integers(0, 6))
    names = draw(st.lists(st.text(NAMED, min_size=1, max_size=3), min_size=1, max_size=5, unique=True))
    columns = {}
    for name in names:
        kind = draw(st.sampled_from(list(VALUES)))
        one = st.lists(VALUES[kind], max_size=4)
        columns[name] = pa.array(draw(st.lists(one, min_size=rows, max_size=rows)), pa.list_(kind))
    return pa.RecordBatch.from_pydict(columns)


def of_protocol_buffers(rows):
    """What tfx_bsl writes, its features in the order of their names: a message is its parts in a row."""
    if not rows.num_rows:
        return []
    result = []
    for encoded in example_coder.RecordBatchToExamplesEncoder().encode(rows):
        features = tf.train.Example.FromString(encoded).features.feature
        apart = [
            tf.train.Features(feature={name: features[name]}) for name in sorted(rows.schema.names, key=str.encode)
        ]
        together = b"".join(one.SerializeToString() for one in apart)
        result.append(b"\x0a" + varint(len(together)) + together)
    return result


def varint(number):
    few = number & 0x7F
    return bytes([few]) if number == few else bytes([few | 0x80]) + varint(number >> 7)


@given(batches())
def test_the_bytes_of_protocol_buffers(rows):
    assert serialized(rows).to_pylist() == of_protocol_buffers(rows)


@given(batches(), st.integers(0, 3), st.integers(0, 6))
def test_a_slice_of_rows(rows, start, count):
    rows = rows.slice(min(start, rows.num_rows), count)
    assert serialized(rows).to_pylist() == of_protocol_buffers(rows)


def test_a_null_is_a_feature_without_a_kind():
    rows = pa.RecordBatch.from_pydict({"x": pa.array([[1], None, []], pa.list_(pa.int64()))})
    assert serialized(rows).to_pylist() == of_protocol_buffers(rows)
    second = tf.train.Example.FromString(serialized(rows)[1].as_py())
    assert second.features.feature["x"].WhichOneof("kind") is None


def test_large_lists_of_large_values():
    columns = {"x": [[b"ab", b""], [], None], "y": [[1], [2, 3], []]}
    small, large = (
        pa.RecordBatch.from_pydict(
            {"x": pa.array(columns["x"], lists(kind)), "y": pa.array(columns["y"], lists(pa.int64()))}
        )
        for lists, kind in ((pa.list_, pa.binary()), (pa.large_list, pa.large_binary()))
    )
    assert serialized(large) == serialized(small)


@pytest.mark.parametrize("many", [1, 300, 70_000])
def test_many_values_in_a_row(many):
    rows = pa.RecordBatch.from_pydict({
        "ids": pa.array([np.arange(many), [5]], pa.list_(pa.int64())),
        "texts": pa.array([[b"ab"] * many, []], pa.list_(pa.binary())),
        "numbers": pa.array([np.arange(many, dtype=np.float32), [0.5]], pa.list_(pa.float32())),
    })  # fmt: skip
    assert serialized(rows).to_pylist() == of_protocol_buffers(rows)
