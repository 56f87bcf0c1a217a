"""Exports in TensorFlow as it was: the servers at hand are older than what they are written with."""

import pickle
import shutil
import subprocess
import sys
import venv

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs import FeatureSpec
from tfloom.serving import golden
from tfloom.serving.capi import libraries
from tfloom.serving.equality import differing

pytestmark = pytest.mark.slow

VERSIONS = ["2.20", "2.19"]

TABLE = {
    "columns": [
        {"name": "z", "kind": "numeric", "source": "x", "scale": "z_score", "missing": "mean"},
        {"name": "unit", "kind": "numeric", "source": "x", "scale": "min_max", "missing": 0.0},
        {"name": "quarter", "kind": "bucketized", "source": "x", "quantiles": 4},
        {"name": "town", "kind": "vocabulary", "oov_buckets": 2},
        {"name": "tags", "kind": "hashed", "buckets": 7},
        {"name": "size", "kind": "identity", "buckets": 4},
        {"name": "route", "kind": "crossed", "of": [{"input": "town"}, "tags", "quarter"], "buckets": 50},
        {"name": "town_in", "kind": "indicator", "of": "town"},
        {"name": "tags_vec", "kind": "embedded", "of": "tags", "dimension": 3, "combiner": "sqrtn", "max_norm": 0.5},
    ],
    "labels": [{"name": "late", "source": "y", "above": 0}],
    "groups": {"wide": ["quarter", "town", "size", "route"], "deep": ["z", "unit", "town_in", "tags_vec"]},
}
PICTURES = {
    "columns": [{"name": "picture", "kind": "image", "height": 8, "width": 8, "channels": 1}],
    "labels": [{"name": "digit", "classes": ["0", "1", "2"]}],
}


def table():
    rng = np.random.default_rng(5)
    x = rng.normal(size=200)
    return {
        "x": pa.array([None if i % 11 == 0 else value for i, value in enumerate(x)]),
        "town": pa.array(rng.choice(["Oslo", "Bergen", "Molde"], size=200)),
        "tags": pa.array([["rain", "snow", "wind"][: i % 4] for i in range(200)], pa.list_(pa.string())),
        "size": pa.array([None if i % 7 == 0 else i % 4 for i in range(200)]),
        "y": pa.array(x + rng.normal(size=200)),
    }


def pictures():
    pixels = np.random.default_rng(6).integers(0, 256, (60, 11, 9, 1), np.uint8)
    return {
        "picture": pa.array([tf.io.encode_png(one).numpy() for one in pixels]),
        "digit": pa.array([str(i % 3) for i in range(60)]),
    }


@pytest.fixture(scope="module", params=[(TABLE, table), (PICTURES, pictures)], ids=["table", "pictures"])
def export(request, tmp_path_factory):
    spec, rows = request.param
    folder = tmp_path_factory.mktemp("older")
    transformed = tfloom.preprocess(FeatureSpec.model_validate(spec), pa.table(rows()), folder / "transformed")
    model = tfloom.train(transformed, folder / "model", {"epochs": 1, "batch_size": 32})
    return tfloom.export(model, folder / "export").path


@pytest.fixture(scope="module", params=VERSIONS)
def python(request, tmp_path_factory):
    """The interpreter of an environment that holds a TensorFlow, and nothing of tfloom."""
    folder = tmp_path_factory.mktemp("tensorflow") / request.param
    uv = shutil.which("uv", path=sys.prefix + "/bin") or shutil.which("uv")
    venv.create(folder, with_pip=uv is None, symlinks=True)
    program = folder / "bin" / "python"
    install = [uv, "pip", "install", "--python", program] if uv else [program, "-m", "pip", "install"]
    run(*install, "--quiet", f"tensorflow=={request.param}.*")
    assert run(program, "-c", "import tensorflow; print(tensorflow.__version__)").startswith(f"{request.param}.")
    return program


def run(*command):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout}\n{done.stderr[-3000:]}"
    return done.stdout


def test_golden_rows_by_its_c_api(export, python):
    (package,) = python.parents[1].glob("lib/python*/site-packages/tensorflow")
    assert all(str(package) in path for path in libraries(package))
    tried = golden.check(export, tensorflow=package)
    assert {"serving_default", "serving_examples", "transform", "classify"} <= set(tried)


PROGRAM = """
import pickle, sys
import tensorflow as tf

_, saved_model, asked, answered = sys.argv
signatures = tf.saved_model.load(saved_model).signatures
answers = {}
for name, inputs in pickle.load(open(asked, "rb")).items():
    outputs = signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
    answers[name] = {key: value.numpy() for key, value in outputs.items()}
pickle.dump(answers, open(answered, "wb"))
"""


def test_golden_rows_by_its_python(export, python, tmp_path):
    """What it answers is what the TensorFlow that wrote it does: transformed values bit for bit."""
    loaded = tf.saved_model.load(str(export))
    asked = {one.signature_name: one.inputs for one in golden.rows(export)}
    (tmp_path / "asked").write_bytes(pickle.dumps(asked))
    run(python, "-c", PROGRAM, export, tmp_path / "asked", tmp_path / "answered")
    answered = pickle.loads((tmp_path / "answered").read_bytes())
    assert {"serving_default", "serving_examples", "transform"} <= asked.keys() == answered.keys()
    for name, inputs in asked.items():
        expected = loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs.items()})
        assert answered[name].keys() == expected.keys()
        for output, value in expected.items():
            wrong = differing(value.numpy(), answered[name][output], exact=name == "transform")
            assert not wrong.any(), f"{output} of {name}: {wrong.sum()} of {wrong.size} values differ"
