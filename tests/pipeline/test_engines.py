"""The local engine beside Beam: the same files of every kind of column, whatever the number of threads."""

import importlib
import logging
import time

import numpy as np
import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tests.feature_specs.columns.materialised import union
from tfloom.feature_specs import discovery
from tfloom.feature_specs.spec import KINDS, FeatureSpec
from tfloom.pipeline.engines import analysis
from tfloom.pipeline.engines.local import in_order
from tfloom.pipeline.preprocess import preprocess

ROWS = 700
NOT_CANONICAL = ("saved_model.pb", "fingerprint.pb")
"""A graph's serialization, and what is made of it."""


@pytest.fixture(scope="module")
def data():
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
    rng = np.random.default_rng(1)
    drawn = [column.take(pa.array(rng.integers(len(table), size=ROWS))) for column in table.columns]
    return spec, pa.table(drawn, table.schema.names)


@pytest.fixture(scope="module")
def made(data, tmp_path_factory):
    """By engine the files of its transform output."""
    spec, rows = data
    engines = {"local": {"threads": 3}, "beam": {"beam_options": ["--runner=FnApiRunner"]}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 150)
        return {
            name: files(preprocess(spec, {None: rows}, tmp_path_factory.mktemp(name) / "out", parquet=True, **options))
            for name, options in engines.items()
        }


def files(output):
    return {
        str(path.relative_to(output.path)): path.read_bytes()
        for path in sorted(output.path.rglob("*"))
        if path.is_file() and path.name not in NOT_CANONICAL
    }


def test_the_same_bytes(made):
    assert made["local"].keys() == made["beam"].keys()
    assert [name for name, content in made["local"].items() if content != made["beam"][name]] == []
    assert sum(name.startswith("examples/train-") for name in made["local"]) == 2 * 5  # TFRecord and Parquet


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


def test_what_it_does_not_know_goes_to_beam(monkeypatch, tmp_path, caplog):
    monkeypatch.delitem(analysis._KNOWN, analysis.analyzer_nodes.VocabularyPrune)
    spec = FeatureSpec.model_validate({"columns": [{"name": "word", "kind": "vocabulary", "top_k": 2}]})
    rows = pa.table({"word": ["a", "b", "b", "c", "c", "c"] * 20})
    with caplog.at_level(logging.WARNING):
        told = files(preprocess(spec, {None: rows}, tmp_path / "beam"))
    assert "the local engine does not know VocabularyPrune: Beam runs the job" in caplog.text
    monkeypatch.undo()
    assert told == files(preprocess(spec, {None: rows}, tmp_path / "local"))


def test_in_order_whoever_is_first():
    def work(item):
        time.sleep(0.02 if item % 3 == 0 else 0)
        return item

    assert list(in_order(work, range(20), 4)) == list(range(20))


def test_an_error_of_a_thread_is_raised():
    def work(item):
        if item == 3:
            raise ValueError("item 3")
        return item

    with pytest.raises(ValueError, match="item 3"):
        list(in_order(work, range(1000), 2))
