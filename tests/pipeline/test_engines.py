"""The engines beside each other: the same files of every kind of column, whatever the number of threads."""

import functools
import importlib
import logging
import threading
import time

import numpy as np
import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tests.feature_specs.columns.materialised import union
from tests.feature_specs.columns.more_rows import with_more_rows
from tfloom.feature_specs import discovery
from tfloom.feature_specs.spec import KINDS, FeatureSpec
from tfloom.pipeline.engines import analysis, beam, local, tft_beam
from tfloom.pipeline.preprocess import preprocess

ROWS = 700
NOT_CANONICAL = ("saved_model.pb", "fingerprint.pb")
"""A graph's serialization, and what is made of it."""


@pytest.fixture(scope="module")
def every_kind():
    """One spec of every contract of a kind, and its values in other company: rows of several chunks."""
    modules = [importlib.import_module(f"tests.feature_specs.columns.test_{kind}") for kind in discovery.names(KINDS)]
    contracts = [
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ColumnContract) and value is not ColumnContract
    ]
    spec, table = union(contracts)
    assert {column.kind for column in spec.columns} >= set(discovery.names(KINDS))
    rows = with_more_rows(table, contracts).slice(0, ROWS)
    split = rows.schema.names.index("split")
    return spec, rows.set_column(split, "split", [["train"] * ROWS])


def first_of_each_kind(spec):
    """Its first column of each kind, and those that these are made of."""
    left = [column.name for column in {column.kind: column for column in reversed(spec.columns)}.values()]
    names = set()
    while left:
        names.add(left.pop())
        left += [name for kept in names for name in spec.by_name[kept].parents() if name not in names]
    written = spec.to_dict()
    written["columns"] = [column for column in written["columns"] if column["name"] in names]
    read = {name for kept in names for name in spec.by_name[kept].inputs()}
    written["inputs"] = {name: told for name, told in written["inputs"].items() if name in read}
    return FeatureSpec.model_validate(written)


def every_column(spec):
    return spec


@pytest.fixture(scope="module")
def by_local_engine(every_kind, tmp_path_factory):
    """What the local engine makes of some columns of every kind."""

    @functools.cache
    def made(of):
        return files(preprocess(of(every_kind[0]), {None: every_kind[1]}, tmp_path_factory.mktemp("local") / "out",
                                examples="both", threads=3))  # fmt: skip

    return made


@pytest.mark.parametrize("engine", [beam, tft_beam], ids=["our own pipeline", "tf.Transform's"])
@pytest.mark.parametrize("of", [pytest.param(every_column, marks=pytest.mark.slow), first_of_each_kind])
def test_the_same_bytes(of, engine, every_kind, by_local_engine, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 150)
    monkeypatch.setattr(beam, "run", engine.run)
    spec, rows = of(every_kind[0]), every_kind[1]
    assert {column.kind for column in spec.columns} >= set(discovery.names(KINDS))
    local = by_local_engine(of)
    options = {"examples": "both", "beam_options": ["--runner=FnApiRunner"]}
    by_beam = files(preprocess(spec, {None: rows}, tmp_path / "beam", **options))
    assert local.keys() == by_beam.keys()
    assert [name for name, content in local.items() if content != by_beam[name]] == []
    assert sum(name.startswith("examples/train-") for name in local) == 2 * 5  # TFRecord and Parquet


def files(output):
    return {
        str(path.relative_to(output.path)): path.read_bytes()
        for path in sorted(output.path.rglob("*"))
        if path.is_file() and path.name not in NOT_CANONICAL
    }


def test_the_same_bytes_by_any_number_of_threads(monkeypatch, tmp_path):
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 5)
    spec = FeatureSpec.model_validate({
        "columns": [
            {"name": "x", "kind": "numeric", "scale": "z_score"},
            {"name": "x_bin", "kind": "bucketized", "source": "x", "quantiles": 7},
            {"name": "word", "kind": "vocabulary", "weights": "x"},
        ]
    })  # fmt: skip
    rng = np.random.default_rng(2)
    rows = pa.table({"x": rng.lognormal(size=400).astype(np.float32), "word": rng.choice(list("abcdefgh"), 400)})
    one, *others = (files(preprocess(spec, {None: rows}, tmp_path / f"{n}", threads=n)) for n in (1, 2, 7))
    assert len(one) > 80
    assert others == [one] * 2


@pytest.mark.parametrize(("engine", "options"), [("local", ()), ("Beam", ["--runner=FnApiRunner"])])
def test_what_it_does_not_know_goes_to_tf_transform(engine, options, monkeypatch, tmp_path, caplog):
    monkeypatch.delitem(analysis._OF_VOCABULARIES, analysis.analyzer_nodes.VocabularyPrune)
    spec = FeatureSpec.model_validate({"columns": [{"name": "word", "kind": "vocabulary", "top_k": 2}]})
    rows = pa.table({"word": ["a", "b", "b", "c", "c", "c"] * 20})
    with caplog.at_level(logging.WARNING):
        told = files(preprocess(spec, {None: rows}, tmp_path / "there", beam_options=options))
    assert f"the {engine} engine does not know VocabularyPrune: tf.Transform's own Beam pipeline" in caplog.text
    monkeypatch.undo()
    assert told == files(preprocess(spec, {None: rows}, tmp_path / "here"))


def test_reading_ends_where_the_graph_fails(monkeypatch, tmp_path):
    """The rows are read while the graph is traced."""
    begun, read = threading.Event(), []

    def analyze(*_):
        assert begun.wait(30)
        raise ValueError("no graph")

    def parse(spec, chunk, folder, of=local.parse):
        read.append(chunk.number)
        begun.set()
        time.sleep(0.05)
        return of(spec, chunk, folder)

    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 1)
    monkeypatch.setattr(local, "analyze", analyze)
    monkeypatch.setattr(local, "parse", parse)
    spec = FeatureSpec.model_validate({"columns": [{"name": "x", "kind": "numeric"}]})
    with pytest.raises(ValueError, match="no graph"):
        preprocess(spec, {None: pa.table({"x": [1.0] * 200})}, tmp_path / "out", threads=2)
    assert 0 < len(read) < 100
    assert [*tmp_path.iterdir()] == []
