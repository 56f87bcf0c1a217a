"""The job as a Beam pipeline: what it is made of, and bundles that fail, run twice and leave things behind."""

import concurrent.futures
import contextlib
import time
from collections import Counter
from pathlib import Path

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.pipeline.test_engines import files
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import resolve, shards
from tfloom.pipeline.engines import beam as engine
from tfloom.pipeline.engines import beam_job
from tfloom.pipeline.engines.analysis import Analysis, Combined
from tfloom.pipeline.engines.counts import Counted, Room, Tally, by_entry, pieces, totals
from tfloom.pipeline.preprocess import preprocess
from tfloom.pipeline.sources import find

ROWS = 300
SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "x_z", "kind": "numeric", "source": "x", "scale": "z_score"},
        {"name": "x_bin", "kind": "bucketized", "source": "x", "quantiles": 7},
        {"name": "word", "kind": "vocabulary", "oov_buckets": 1},
        {"name": "weighed", "kind": "vocabulary", "source": "word", "weights": "x"},
        {"name": "pair", "kind": "crossed", "of": ["word", "x_bin"], "collision_free": True},
    ],
    "labels": [{"name": "y", "positive": 1}],
    "where": "x > 0.1",
})  # fmt: skip


def rows():
    rng = np.random.default_rng(3)
    labels = [None if i % 50 == 0 else i % 2 for i in range(ROWS)]
    return pa.table({"x": rng.lognormal(0, 3, ROWS), "word": rng.choice(list("abcdefgh"), ROWS), "y": labels})


def made(out, *options):
    output = preprocess(SPEC, {None: rows()}, out, max_rejected=0.1, beam_options=options)
    assert not list(output.path.rglob("*.part"))
    return files(output)


@pytest.fixture(scope="module", autouse=True)
def small_blocks():
    """30 chunks in 8 blocks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 10)
        for module in ("analysis", "beam"):
            patch.setattr(f"tfloom.pipeline.engines.{module}.BLOCK", 4)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return made(tmp_path_factory.mktemp("undisturbed") / "out")


def test_a_bundle_that_runs_twice(undisturbed, tmp_path):
    """The account of rows is in report.json, the counts of the vocabularies in their order and in the examples."""
    options = ["--runner=FnApiRunner", "--direct_runner_bundle_repeat=1"]
    assert made(tmp_path / "out", *options) == undisturbed


class Retrying(FnApiRunner):
    """Begins a bundle again until it succeeds, and then once more: what one gave is lost, what it wrote is there.

    failed: how many did.
    """

    failed = 0

    def _run_bundle_multiple_times_for_testing(self, *args):
        self._bundle_repeat = 1
        for _ in range(len(STEPS) + 1):
            try:
                super()._run_bundle_multiple_times_for_testing(*args)
                return
            except OSError:
                Retrying.failed += 1


STEPS = ("_Ingest", "_Count", "_MergeBlock", "_Merge", "_Conclude", "_WriteGraph", "_Transform")


def failing_once(process):
    """A DoFn's process that does its first work in vain."""
    done = []

    def failing_process(self, *args):
        made = list(process(self, *args) or ())
        if not done:
            done.append(made)
            raise OSError("the machine is gone")
        return made

    return failing_process


def test_a_bundle_that_fails_once(undisturbed, tmp_path, monkeypatch):
    for name in STEPS:
        step = getattr(engine, name)
        monkeypatch.setattr(step, "process", failing_once(step.process))
    monkeypatch.setattr(beam_job, "empty", lambda options: beam.Pipeline(runner=Retrying()))
    assert made(tmp_path / "out", "--runner=FnApiRunner") == undisturbed
    assert Retrying.failed == len(STEPS)


def test_graphs_and_their_tables_are_made_once_in_a_process(undisturbed, tmp_path, monkeypatch):
    made_of = Counter()

    def counted(of, name):
        make = getattr(of, name)

        def counting(self, *args):
            made_of[name] += 1
            return make(self, *args)

        monkeypatch.setattr(of, name, counting)

    counted(Analysis, "phase")
    counted(engine.Transform, "__init__")
    counted(engine.Transform, "__call__")
    assert made(tmp_path / "out", "--runner=FnApiRunner") == undisturbed
    assert made_of == {"phase": 2, "__init__": 1, "__call__": 30}


def test_threads_share_what_one_of_them_makes():
    held, makes = engine._Made(), []

    def make():
        time.sleep(0.05)
        makes.append(None)
        return len(makes)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: held.once("graph", make, 0), range(32))) == {1}
    assert held.once("graph", make, 1) == 2


def test_what_a_killed_attempt_leaves_is_cleared_away(tmp_path):
    with contextlib.suppress(KeyboardInterrupt), shards.whole(f"{tmp_path}/whole") as part:
        Path(part).write_bytes(b"half of")
        raise KeyboardInterrupt
    assert [str(path) for path in tmp_path.iterdir()] == [part]
    shards.write_whole(f"{tmp_path}/other", b"all of it")
    shards.remove_parts(str(tmp_path))
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("other", b"all of it")]


def steps(vocabularies, numbers, tmp_path):
    """(its transforms by name, how many stages FnApiRunner makes of it) of a pipeline that is not run."""
    words = {f"word_{i}": ["a", "b"] for i in range(vocabularies)}
    columns = [{"name": name, "kind": "vocabulary", "top_k": 10, "oov_buckets": 1} for name in words]
    columns += [{"name": f"n_{i}", "kind": "bucketized", "source": "n", "quantiles": 3 + i} for i in range(numbers)]
    columns.append({"name": "pair", "kind": "crossed", "of": ["word_0", "word_1"], "collision_free": True})
    folder = tmp_path / f"{vocabularies}"
    folder.mkdir()
    sources = find({None: pa.table({**words, "n": [1.0, 2.0]})}, folder)
    spec = resolve.resolve(FeatureSpec.model_validate({"columns": columns}), sources)
    pipeline = beam.Pipeline(runner=FnApiRunner())
    engine.build(pipeline, engine.Job(spec, str(folder), "tfrecord"), sources)
    proto = pipeline.to_runner_api(default_environment=FnApiRunner()._default_environment)
    _, stages = FnApiRunner().create_stages(proto)
    return Counter(one.unique_name for one in proto.components.transforms.values()), len(stages)


@pytest.mark.parametrize(("least", "most"), [(2, 12), pytest.param(36, 100, marks=pytest.mark.slow)])
def test_as_many_steps_of_many_vocabularies_as_of_few(least, most, tmp_path):
    few, many = steps(least, 1, tmp_path), steps(most, 5, tmp_path)
    assert few == many
    named = few[0].keys()
    learn = {f"Learn {phase}/{step}" for phase in (1, 2) for step in ("Count", "Merge blocks", "Merge", "Conclude")}
    assert {"Read", "Ingest", "Write graph", "Transform and write"} | learn <= named
    assert "Learn 3/Count" not in named
    assert len(named) < 100


def test_states_that_come_twice_are_taken_once():
    one = Counted(("x",), Room(0, ""))
    states = [(n, engine._dumped(one.state({"x": np.array([b"a", b"b" * n], object)}))) for n in (2, 1)]
    ((key, (place, content)),) = [
        made for made in engine._MergeBlock([one]).process(((0, 5, 1), states * 2)) if made[0][1] == partition(b"a")
    ]
    assert (key, place) == ((0, partition(b"a")), (5, 1, 0))
    assert dict(map(reversed, totals(engine.pickle.loads(content), Room(0, ""))))[b"a"] == 2


def partition(entry):
    ((of, _),) = by_entry(Tally((pa.record_batch({"entry": pa.array([entry]), "count": [1]}),)), engine.PARTITIONS)
    return of


@pytest.mark.parametrize("room", [0, 1 << 30], ids=["on disk", "in memory"])
@pytest.mark.parametrize("text", [True, False], ids=["text", "int64"])
def test_a_tally_in_parts_is_the_tally(text, room, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.engines.counts.PIECE", 100)
    one = Counted(("x", "w"), Room(room, str(tmp_path)))
    rng = np.random.default_rng(0)
    numbers = rng.integers(-500, 500, 3000)
    entries = np.array([b"e%d" % n for n in numbers], object) if text else numbers
    values = {"x": entries, "w": rng.lognormal(0, 9, 3000)}
    whole = one.closed(one.merged(one.state(values), one.state(values)))
    expected = sorted(totals(whole, one.room))
    parts = [part for piece in pieces(whole, one.room) for part in by_entry(piece, 7)]
    assert len({of for of, _ in parts}) == 7
    assert all(not part.runs for _, part in parts)
    assert sorted(pair for _, part in parts for pair in totals(part, one.room)) == expected
    of = Counter(entry for entry, _ in {(pair[1], of) for of, part in parts for pair in totals(part, one.room)})
    assert set(of.values()) == {1}


def test_nothing_of_a_column_is_a_state_too():
    tally = Counted(("x",), Room(0, "")).state({"x": np.array([], object)})
    ((partition, part),) = [part for piece in pieces(tally, Room(0, "")) for part in by_entry(piece, 7)]
    assert (partition, len(totals(part, Room(0, "")))) == (0, 0)


def test_what_workers_are_told_has_no_place_of_this_machine(tmp_path):
    """Everything that is shared lies in the folder of the job."""
    sources = find({None: rows()}, tmp_path)
    job = engine.Job(resolve.resolve(SPEC, sources), "gs://bucket/job", "tfrecord")
    assert all(isinstance(one, Combined | Counted) for one in job.analysis().accumulators(0, Room(0, "")))
    pipeline = beam.Pipeline(runner=FnApiRunner())
    engine.build(pipeline, job, ())
    assert str(tmp_path) not in str(pipeline.to_runner_api(default_environment=FnApiRunner()._default_environment))


def test_in_a_folder_that_is_on_no_disk(undisturbed, tmp_path):
    """All that is shared is read and written by TensorFlow's file systems: a worker needs no disk of another."""
    folder = "ram://job"
    sources = find({None: rows()}, tmp_path)
    spec = resolve.resolve(SPEC, sources)
    engine.run(spec, sources, folder, "tfrecord", beam.Pipeline(runner=FnApiRunner()))
    engine.clear(folder)
    names = [f"{path}/{name}".removeprefix(f"{folder}/") for path, _, of in tf.io.gfile.walk(folder) for name in of]
    made = {name: tf.io.gfile.GFile(f"{folder}/{name}", "rb").read() for name in names}
    expected = {name for name in undisturbed if name.startswith(("examples/", "transform_fn/assets/"))}
    assert len(expected) > 30
    assert {name for name in made if name.startswith(("examples/", "transform_fn/assets/"))} == expected
    assert [name for name in expected if made[name] != undisturbed[name]] == []
    assert not [name for name in made if name.endswith(".part") or name.startswith(("parsed/", "analysis/"))]
