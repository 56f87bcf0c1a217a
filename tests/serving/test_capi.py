"""Signatures run without TensorFlow's Python give what TensorFlow's Python gives."""

import re

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving import capi
from tfloom.serving.signatures import TensorInfo, protos, read


def strings(*values):
    return np.array([*values, None], object)[:-1]


def test_signatures_are_read_from_the_file(made):
    signatures = read(made.export.path)
    assert sorted(signatures) == ["dtypes", "photo", "serving_default", "serving_examples", "transform"]
    default = signatures["serving_default"]
    assert list(default.inputs) == ["distance", "photo", "stops", "stops_length", "the.tags", "the.tags_length"]
    assert (default.inputs["the.tags"].dtype, default.inputs["the.tags"].shape) == ("string", (None, None))
    assert default.outputs["class_ids"].dtype == "int64"
    assert signatures["dtypes"].inputs["pair"] == TensorInfo("dtypes_pair:0", "int32", (None, 2))
    assert "__saved_model_init_op" in protos(made.export.path)


def test_every_dtype_both_ways(made):
    inputs = {
        "distance": np.float32([1.5, np.nan]),
        "the.tags": np.array([[b"a", b"c"], [b"b", b""]], object),
        "the.tags_length": np.int64([2, 1]),
        "stops": np.int64([2, 0]),
        "stops_length": np.int64([1, 0]),
        "photo": strings(b"\xff\x00\xd8", b"long enough to be on the heap " * 3),
    }
    pairs = {"flag": np.array([True, False]), "pair": np.int32([[1, 2], [3, 4]]), "scale": np.float64(0.1)}
    default, echo, others = capi.run(
        made.export.path,
        [("serving_default", inputs), ("photo", {"photo": inputs["photo"]}), ("dtypes", pairs)],
    )
    loaded = tf.saved_model.load(str(made.export.path))
    expected = loaded.signatures["serving_default"](**{k: tf.constant(v) for k, v in inputs.items()})
    for name, value in expected.items():
        np.testing.assert_array_equal(default[name], value.numpy())
        assert default[name].dtype == value.numpy().dtype
    assert echo["photo_bytes"].tolist() == inputs["photo"].tolist()
    assert others["flag"].tolist() == [False, True]
    assert others["pair"].tolist() == [[2, 3], [4, 5]]
    assert others["scale"] == np.float64(0.2)
    assert others["text"].tolist() == [[b"1", b"2"], [b"3", b"4"]]


def test_an_empty_batch(made):
    (echo,) = capi.run(made.export.path, [("photo", {"photo": strings()})])
    assert echo["photo_bytes"].shape == (0,)


@pytest.mark.parametrize(
    ("signature", "inputs", "told"),
    [
        ("phooto", {}, "no signature 'phooto'\n  expected: 'photo'"),
        ("photo", {}, "has other inputs\n  expected: photo\n  received: none"),
        (
            "photo",
            {"photo": np.float32([1])},
            "input 'photo': is of another dtype\n  expected: string\n  received: float32",
        ),
    ],
)
def test_what_cannot_be_asked(made, signature, inputs, told):
    with pytest.raises(DataError, match=told):
        capi.run(made.export.path, [(signature, inputs)])


def test_a_failure_in_the_graph_is_told_in_tensorflows_words(made):
    with pytest.raises(ArtefactError, match=re.escape("Could not parse example")):
        capi.run(made.export.path, [("transform", {"examples": strings(b"no example")})])


def test_what_needs_python_does_not_run(tmp_path):
    module = tf.Module()
    module.f = tf.function(
        lambda x: {"y": tf.ensure_shape(tf.numpy_function(np.sin, [x], tf.float32), [None])},
        input_signature=[tf.TensorSpec([None], tf.float32, "x")],
    )
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": module.f})
    with pytest.raises(ArtefactError, match=r"does not run by TensorFlow's C API[\s\S]*PyFunc"):
        capi.run(tmp_path, [("serving_default", {"x": np.float32([1])})])


def test_no_saved_model(tmp_path):
    with pytest.raises(ArtefactError, match="is no SavedModel"):
        capi.run(tmp_path, [])
    with pytest.raises(ArtefactError, match="has no C API"):
        capi.libraries(tmp_path)
