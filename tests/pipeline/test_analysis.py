"""What the local engine stands on in tf.Transform, and what it makes of it: states that pickle and merge in order."""

import ast
import importlib
import inspect
import pickle

import numpy as np
import pyarrow as pa
import pytest
import tensorflow_transform as tft

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import ingest, learning, resolve, sources
from tfloom.pipeline.engines import analysis
from tfloom.pipeline.graph_inputs import adapter_config
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.shards import PLACE, place

SPEC = {
    "columns": [
        {"name": "x_z", "kind": "numeric", "source": "x", "scale": "z_score", "per_key": "word"},
        {"name": "x_bin", "kind": "bucketized", "source": "x", "quantiles": 7},
        {"name": "word", "kind": "vocabulary"},
        {"name": "word_by", "kind": "vocabulary", "source": "word", "weights": "x"},
        {"name": "word_late", "kind": "vocabulary", "source": "word", "mutual_information": "late"},
    ],
    "labels": [{"name": "late", "source": "x", "above": 1}],
    "split": {"by": "hash", "eval": 0, "test": 0},
}


def private():
    """(module, name): every attribute of a module of TensorFlow, tf.Transform or tfx_bsl that analysis.py reads."""
    tree = ast.parse(inspect.getsource(analysis))
    of = {name: value for name, value in vars(analysis).items() if inspect.ismodule(value)}
    foreign = {name for name, value in of.items() if value.__name__.startswith(("tensorflow", "tfx_bsl"))}
    return sorted(
        {
            (of[node.value.id].__name__, node.attr)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in foreign
        }
    )


@pytest.mark.parametrize(("module", "name"), private(), ids=lambda one: one)
def test_what_it_reads_of_tf_transform_is_there(module, name):
    assert hasattr(importlib.import_module(module), name), (
        f"tensorflow-transform {tft.__version__} has no {module}.{name}, on which pipeline/engines/analysis.py stands"
    )


def test_much_of_it_is_looked_for():
    assert ("tensorflow_transform.beam.impl", "_get_tensor_replacement_map") in private()
    assert ("tensorflow_transform.analyzer_nodes", "PackedCombineMerge") in private()
    assert len(private()) > 40


@pytest.fixture(scope="module")
def chunks(tmp_path_factory):
    """(spec, parsed rows in chunks)."""
    rng = np.random.default_rng(5)
    rows = {"x": rng.lognormal(size=300).astype(np.float32), "word": rng.choice(list("abcdefgh"), 300)}
    found = sources.find({None: pa.table(rows)}, tmp_path_factory.mktemp("analysis"))
    spec = resolve.resolve(FeatureSpec.model_validate(SPEC), found)
    result = []
    for chunk in sources.chunks(found[0], spec.columns_read, 40):
        done = ingest.ingest(spec, chunk)
        result.append(learning.added(spec, done.rows.append_column(PLACE, place(done.splits, chunk))))
    assert len(result) == 8
    return spec, result


def learned(chunks, folder, states):
    """(the vocabularies, what becomes of the first chunk)."""
    spec, rows = chunks
    config = adapter_config(spec)
    folder.mkdir()
    analysis.analyze(preprocessing_fn(spec), config, str(folder), 1 << 30, lambda phase: states(phase, rows))
    vocabularies = {path.name: path.read_bytes() for path in (folder / "transform_fn" / "assets").iterdir()}
    return vocabularies, analysis.Graph.loaded(f"{folder}/transform_fn", config)(rows[0])


def test_states_are_values_that_others_may_make(chunks, tmp_path):
    """Each in a process of its own, in any order."""

    def here(phase, rows):
        return phase.total((0, number, phase.states(chunk)) for number, chunk in enumerate(rows))

    def elsewhere(phase, rows):
        made = [pickle.dumps(phase.states(chunk)) for chunk in reversed(rows)]
        return phase.total((0, number, pickle.loads(one)) for number, one in enumerate(reversed(made)))

    vocabularies, here = learned(chunks, tmp_path / "here", here)
    others, there = learned(chunks, tmp_path / "there", elsewhere)
    assert vocabularies == others
    assert {"word", "word_by", "word_late"} <= vocabularies.keys()
    assert here.keys() == there.keys()
    for name, value in here.items():
        one, other = (getattr(of, "values", of) for of in (value, there[name]))
        np.testing.assert_array_equal(one, other, err_msg=name)
