"""A kind, a head and a backbone of an installed package are as good as ours."""

import re
from pathlib import Path

import pytest

from tests.test_packaging import install, run
from tfloom.feature_specs import FeatureSpec, discovery
from tfloom.feature_specs.columns.numeric import Numeric
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.validation import validate

ROOT = Path(__file__).parents[1]
KINDS = "tfloom.feature_specs.columns"

PYPROJECT = """\
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"

[project]
name = "acme-columns"
version = "1.0"

[project.entry-points."tfloom.columns"]
clipped = "acme.clipped"

[project.entry-points."tfloom.heads"]
absolute = "acme.absolute"

[project.entry-points."tfloom.backbones"]
added = "acme.added"

[tool.setuptools]
packages = ["acme"]
"""

HEAD = '''\
"""`absolute`: a number, by its absolute error."""

from dataclasses import replace

import tensorflow as tf

from tfloom.trainers.heads.regression import Regression


class Absolute(Regression):
    """Absolute error."""

    monitor = ("mae", False)
    estimator = None

    def loss(self, model, features, labels, seed=None, training=False):
        told = super().loss(model, features, labels, seed, training)
        return replace(told, per_example=tf.sqrt(told.per_example))
'''

BACKBONE = '''\
"""`added`: one layer over the sum of all numbers."""

from typing import Literal

import keras

from tfloom.feature_specs.features import Dense
from tfloom.trainers.backbone import Backbone, dense


class Added(Backbone):
    """The sum of the numbers, times a weight, and a bias."""

    accepts = {"deep": (Dense,)}
    name: Literal["added"] = "added"

    def layer(self, parts, num_buckets, units):
        return AddedLayer(units)


class AddedLayer(keras.Layer):
    def __init__(self, units):
        super().__init__(name="added")
        self.out = keras.layers.Dense(units)

    def call(self, features, training=False):
        return self.out(keras.ops.sum(dense(features["deep"]), axis=-1, keepdims=True))
'''

SPEC = """\
columns:
- {name: x_in, kind: clipped, source: x, low: 0, high: 3}
- {name: y, kind: numeric}
labels:
- {name: z}
"""


@pytest.fixture
def acme(tmp_path):
    """The source of a package, whose column is the one that the docs show."""
    clipped = re.findall(r"```python\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.DOTALL)[0]
    package = tmp_path / "source"
    for name, text in {"__init__": "", "clipped": clipped, "absolute": HEAD, "added": BACKBONE}.items():
        (package / "acme").mkdir(parents=True, exist_ok=True)
        (package / "acme" / f"{name}.py").write_text(text)
    (package / "pyproject.toml").write_text(PYPROJECT)
    return package


@pytest.fixture
def installed(monkeypatch):
    """Say what entry points there are, as installed packages would."""

    def say(folder, **points):
        info = folder / "acme-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
        lines = "".join(f"{name} = {module}\n" for name, module in points.items())
        (info / "entry_points.txt").write_text(f"[tfloom.columns]\n{lines}")
        monkeypatch.syspath_prepend(folder)
        discovery.places.cache_clear()

    yield say
    monkeypatch.undo()
    discovery.places.cache_clear()


def test_a_kind_of_another_package_is_found(acme, installed):
    installed(acme, clipped="acme.clipped")
    assert "clipped" in discovery.names(KINDS)
    column = FeatureSpec.model_validate({"columns": [{"name": "x", "kind": "clipped", "low": 0, "high": 1}]}).columns[0]
    assert (type(column).__module__, column.high) == ("acme.clipped", 1.0)


def test_a_name_of_ours_is_not_taken_in_silence(acme, installed):
    installed(acme, numeric="acme.numeric")
    with pytest.raises(SpecError) as error:
        validate({"columns": [{"name": "x", "kind": "numeric"}]}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.0.kind: 'numeric' is the name of several"
    assert error.value.received == f"{Numeric.__module__}, acme.numeric"


def test_an_entry_point_has_the_name_of_its_module(acme, installed):
    installed(acme, cut="acme.clipped")
    with pytest.raises(TypeError, match=r"must name a module 'cut', it names 'acme\.clipped'"):
        FeatureSpec.model_validate({"columns": [{"name": "x", "kind": "cut"}]})


@pytest.mark.slow
def test_an_installed_package_trains_and_serves(acme, tmp_path):
    programs = install(tmp_path / "venv", ROOT, acme)
    (tmp_path / "spec.yaml").write_text(SPEC)
    rows = [f"{i % 7},{i % 5},{min(i % 7, 3) + i % 5}" for i in range(700)]
    (tmp_path / "data.csv").write_text("\n".join(["x,y,z", *rows]) + "\n")

    def tfloom(command):
        return run(programs / "tfloom", *command.split(), cwd=tmp_path)

    for what, name in (("columns", "clipped"), ("heads", "absolute"), ("backbones", "added")):
        assert name in tfloom(f"list {what}")
    tfloom("preprocess spec.yaml data.csv -o transformed")
    tfloom(
        "train transformed -o model --set backbone=added --set head=absolute --set epochs=30 --set batch_size=32"
        " --set learning_rate=0.05"
    )
    assert float(re.search(r"test +[\d,]+ +([\d.]+)", tfloom("evaluate model"))[1]) < 0.2
    tfloom("export model -o export")
    assert "700 rows verified, 0 mismatches" in tfloom("verify export data.csv")
    assert len(tfloom("predict export data.csv --rows 5").strip().splitlines()) >= 5
