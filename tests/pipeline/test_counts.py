"""Vocabularies are counted to the same bit whether memory has room for them or not."""

import functools
import math
import os
import pickle
import resource

import numpy as np
import pyarrow as pa
import pytest

from tests.pipeline.test_engines import files
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.engines import counts
from tfloom.pipeline.engines.counts import Counted, Room, ranked, totals
from tfloom.pipeline.preprocess import preprocess

CHUNKS = 30


def chunks(text, weighted):
    """Of 30, with some 300 entries; the weights are of such sizes that their order shows in their sums."""
    rng = np.random.default_rng(1)
    for size in [*rng.integers(1, 200, size=CHUNKS - 1), 0]:
        numbers = rng.zipf(1.2, size) % 1000
        entries = np.array([b"e%d" % n for n in numbers], object) if text else numbers.astype(np.int64)
        yield {"x": entries} | ({"w": rng.lognormal(0, 12, size).astype(np.float32)} if weighted else {})


def counted(keys, room, parts, crossing=lambda state: state):
    one = Counted(keys, room)
    return functools.reduce(lambda a, b: one.merged(crossing(a), crossing(b)), map(one.state, parts))


def in_memory(tmp_path):
    return Room(1 << 30, str(tmp_path))


@pytest.mark.parametrize("weighted", [False, True], ids=["counts", "weights"])
@pytest.mark.parametrize("text", [True, False], ids=["text", "int64"])
@pytest.mark.parametrize("room", [0, 1000, 5000])
def test_spilled_as_in_memory(text, weighted, room, tmp_path):
    keys = ("x", "w") if weighted else ("x",)
    parts = list(chunks(text, weighted))
    kept = counted(keys, in_memory(tmp_path), parts)
    assert not kept.runs
    assert not list(tmp_path.iterdir())
    spilled = counted(keys, Room(room, str(tmp_path)), parts, lambda state: pickle.loads(pickle.dumps(state)))
    assert len(spilled.runs) > 2
    assert spilled.nbytes <= room
    expected, received = (totals(one, Room(room, str(tmp_path))) for one in (kept, spilled))
    assert len(received) == len(expected) == len(list(received)) > 100
    assert dict(map(reversed, received)) == dict(map(reversed, expected))
    assert sorted(received) == sorted(received)  # gone through again, it is there again


def test_what_is_counted(tmp_path):
    parts = list(chunks(True, True))
    entries = np.concatenate([part["x"] for part in parts])
    weights = np.concatenate([part["w"] for part in parts]).astype(np.float64)
    for room in (in_memory(tmp_path), Room(1000, str(tmp_path))):
        found = totals(counted(("x",), room, parts), room)
        assert {entry: count for count, entry in found} == dict(
            zip(*np.unique(entries, return_counts=True), strict=True)
        )
        for total, entry in totals(counted(("x", "w"), room, parts), room):
            assert total == pytest.approx(math.fsum(weights[entries == entry]), rel=1e-12)


def test_the_order_of_the_weights_would_show():
    """What `test_spilled_as_in_memory` rests on: runs summed by themselves would give other bits."""
    parts = list(chunks(True, True))
    one = Counted(("x", "w"), Room(1 << 30, ""))
    states = [one.state(part) for part in parts]
    halves = [functools.reduce(one.merged, half).summed() for half in (states[:15], states[15:])]
    by_chunk, by_half = (
        dict(map(reversed, totals(functools.reduce(one.merged, some), one.room))) for some in (states, halves)
    )
    assert by_chunk.keys() == by_half.keys()
    assert by_chunk != by_half


def test_states_with_runs_are_merged_in_order(tmp_path):
    """As those of a cluster's tasks, each of a run of chunks."""
    parts = list(chunks(True, False))
    room = Room(1000, str(tmp_path))
    one = Counted(("x",), room)
    halves = [counted(("x",), room, some) for some in (parts[:12], parts[12:])]
    assert all(half.runs for half in halves)
    both = one.merged(*halves)
    assert both.runs[: len(halves[0].runs)] == halves[0].runs
    expected = totals(counted(("x",), in_memory(tmp_path), parts), room)
    assert sorted(totals(both, room)) == sorted(expected)


def test_an_empty_vocabulary(tmp_path):
    for entries in (np.array([], object), np.array([], np.int64)):
        found = totals(counted(("x",), Room(0, str(tmp_path)), [{"x": entries}] * 3), Room(0, str(tmp_path)))
        assert (len(found), list(found)) == (0, [])


@pytest.mark.parametrize("room", [0, 3000, 1 << 30])
def test_ranked(room, tmp_path):
    rng = np.random.default_rng(3)
    pairs = [(int(count), b"%d" % i) for i, count in enumerate(rng.integers(9, size=400))]
    found = ranked(iter(pairs), Room(room, str(tmp_path)))
    assert len(found) == 400
    assert list(found) == list(found) == sorted(pairs, reverse=True)
    assert bool(list(tmp_path.iterdir())) == (room < 1 << 30)


def test_more_runs_than_files_may_be_open(tmp_path, monkeypatch):
    monkeypatch.setattr(counts, "BATCH", 2)
    pairs = [(i * 7 % 1000, b"%d" % i) for i in range(1000)]
    found = ranked(pairs, Room(1000, str(tmp_path)))
    assert len(list(tmp_path.iterdir())) > 100
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 40, before[1]))
    try:
        assert list(found) == sorted(pairs, reverse=True)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "word", "kind": "vocabulary", "oov_buckets": 1},
        {"name": "common", "kind": "vocabulary", "source": "word", "top_k": 50},
        {"name": "often", "kind": "vocabulary", "source": "word", "min_frequency": 3},
        {"name": "weighed", "kind": "vocabulary", "source": "word", "weights": "w"},
        {"name": "heavy", "kind": "vocabulary", "source": "word", "weights": "w", "top_k": 70, "min_frequency": 2},
        {"name": "covered", "kind": "vocabulary", "source": "word", "top_k": 20,
         "coverage": {"key": "^.", "top_k": 9, "min_frequency": 2}},
        {"name": "often_covered", "kind": "vocabulary", "source": "word", "min_frequency": 4,
         "coverage": {"key": "^.", "top_k": 9}},
        {"name": "covered_heavy", "kind": "vocabulary", "source": "word", "top_k": 20, "weights": "w",
         "coverage": {"key": "^.", "top_k": 3}},
        {"name": "number", "kind": "vocabulary"},
        {"name": "numbers", "kind": "vocabulary", "source": "number", "top_k": 60, "weights": "w"},
        {"name": "telling", "kind": "vocabulary", "source": "word", "top_k": 40, "mutual_information": "y"},
        {"name": "pair", "kind": "crossed", "of": [{"input": "word"}, {"input": "number"}], "collision_free": True},
        {"name": "none", "kind": "vocabulary", "source": "nothing", "oov_buckets": 1},
    ],
    "inputs": {"word": {"dtype": "string"}, "number": {"dtype": "int64"}, "nothing": {"dtype": "string"}},
    "labels": [{"name": "y", "positive": 1}],
    "split": {"by": "column", "source": "part"},
})  # fmt: skip


def rows():
    rng = np.random.default_rng(5)
    words = [f"{chr(97 + n % 7)}{n}" for n in rng.zipf(1.3, 1500) % 400]
    return pa.table({
        "word": words, "number": rng.zipf(1.3, 1500) % 300, "nothing": pa.nulls(1500, pa.string()),
        "w": rng.lognormal(0, 5, 1500).astype(np.float32), "y": rng.integers(2, size=1500), "part": ["train"] * 1500,
    })  # fmt: skip


def test_the_same_output_by_any_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 100)
    monkeypatch.setattr("tfloom.pipeline.engines.analysis.BLOCK", 4)
    written, write = [], counts._write

    def noted(room, batches):
        written.append(room)
        return write(room, batches)

    monkeypatch.setattr(counts, "_write", noted)
    plenty = files(preprocess(SPEC, {None: rows()}, tmp_path / "plenty"))
    assert not written
    little = files(preprocess(SPEC, {None: rows()}, tmp_path / "little", memory_limit=100_000))
    assert len(written) > 50
    assert len({name for name in plenty if name.startswith("transform_fn/assets/")}) == 13
    assert little.keys() == plenty.keys()
    assert [name for name, content in little.items() if content != plenty[name]] == []
