"""Tables in files: what is read, and what a person is told where it cannot be."""

import numpy as np
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.saved_table import SavedTable

TABLE = np.array([[1, 2], [3, 4], [5, 6]], np.float32)


@pytest.fixture
def checkpoint(tmp_path):
    """A checkpoint as Estimators write them."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("input_layer/town/embedding_weights", initializer=TABLE)
        tf.compat.v1.get_variable("global_step", initializer=np.int64(7))
        session.run(tf.compat.v1.global_variables_initializer())
        return tf.compat.v1.train.Saver().save(session, str(tmp_path / "model.ckpt"), 7)


def told(path, variable=None):
    return SavedTable("columns.v.checkpoint", str(path), variable)


def test_of_a_checkpoint(checkpoint):
    np.testing.assert_array_equal(told(checkpoint, "input_layer/town/embedding_weights").read((3, 2)), TABLE)


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_of_an_array(tmp_path, dtype):
    np.save(tmp_path / "table.npy", TABLE.astype(dtype))
    read = told(tmp_path / "table.npy").read((3, 2))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, TABLE)


def test_what_is_no_checkpoint(tmp_path):
    with pytest.raises(SpecError) as error:
        told(tmp_path / "model.ckpt", "v").read((3, 2))
    assert error.value.what == "columns.v.checkpoint: cannot be read"
    assert error.value.expected == "a TensorFlow checkpoint, without .index"
    assert error.value.received.startswith(f"{tmp_path}/model.ckpt: ")


@pytest.mark.parametrize("content", [None, b"not an array", b""])
def test_what_is_no_array(tmp_path, content):
    if content is not None:
        (tmp_path / "table.npy").write_bytes(content)
    with pytest.raises(SpecError) as error:
        told(tmp_path / "table.npy").read((3, 2))
    assert error.value.what == "columns.v.checkpoint: cannot be read"
    assert error.value.received.startswith(f"{tmp_path}/table.npy: ")


def test_what_the_checkpoint_does_not_have(checkpoint):
    name = "input_layer/towns/embedding_weights"
    with pytest.raises(SpecError) as error:
        told(checkpoint, name).read((3, 2))
    assert error.value.what == f"columns.v.checkpoint_variable: {checkpoint} has no {name!r}"
    assert error.value.expected.startswith("'input_layer/town/embedding_weights', or another of: global_step")


@pytest.mark.parametrize(
    ("table", "received"),
    [(TABLE[:2], "float32 of shape [2, 2]"), (TABLE[:, :1], "float32 of shape [3, 1]"),
     (TABLE.astype(np.int32), "int32 of shape [3, 2]")],
)  # fmt: skip
def test_what_is_another_table(tmp_path, table, received):
    np.save(tmp_path / "table.npy", table)
    with pytest.raises(SpecError) as error:
        told(tmp_path / "table.npy").read((3, 2))
    assert error.value.what == f"columns.v.checkpoint: {tmp_path}/table.npy: the array is not the table"
    assert error.value.expected == "floats of shape [3, 2], a vector for each id"
    assert error.value.received == received
