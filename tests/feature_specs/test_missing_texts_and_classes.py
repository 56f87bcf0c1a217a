"""Texts that stand for a missing value, and classes that are written in several ways."""

import pyarrow as pa
import pytest

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.labels import Label
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline.ingest import ingest
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import chunks, find


def test_na_values_are_missing(tmp_path):
    (tmp_path / "a.csv").write_text("power,tags\n1.5,a|?|b\n?,?\n,c\n")
    spec = FeatureSpec.model_validate({
        "inputs": {
            "power": {"dtype": "float32", "na_values": ["?"]},
            "tags": {"dtype": "string", "delimiter": "|", "na_values": ["?"]},
        },
        "columns": [
            {"name": "power", "kind": "numeric", "missing": "mean"},
            {"name": "tags", "kind": "vocabulary"},
        ],
    })  # fmt: skip
    sources = find({None: tmp_path / "a.csv"}, tmp_path)
    spec = resolve(spec, sources)
    assert spec.inputs["power"].optional
    done = ingest(spec, next(chunks(sources[0])), labelled=False)
    assert not done.rejected
    assert done.rows.column("power").to_pylist() == [[1.5], [], []]
    assert done.rows.column("tags").to_pylist() == [[b"a", b"b"], [], [b"c"]]


def test_na_values_need_a_dtype():
    with pytest.raises(SpecError, match=r"inputs.power: is not right[^$]*na_values without a dtype"):
        validate(
            {"inputs": {"power": {"na_values": ["?"]}}, "columns": [{"name": "power", "kind": "numeric"}]},
            FeatureSpec, "spec",
        )  # fmt: skip


def test_a_class_written_in_two_ways():
    label = Label(name="animal", classes=(("cat", "cat."), "dog"))
    assert label.class_names == ("cat", "dog")
    target, known = label.targets(pa.array(["cat.", "dog", "cat", None, "cow"]))
    assert target.to_pylist() == [0, 1, 0, None, None]
    assert known.to_pylist() == [True, True, True, True, False]


def test_without_na_leaves_numbers_alone():
    values = pa.array([1.0, None])
    assert Input(dtype="float32", na_values=("?",)).without_na(values) is values
