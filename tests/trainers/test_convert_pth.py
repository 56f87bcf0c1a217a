"""A .pth file as safetensors, of PyTorch where it is installed; here a stand-in for torch.load alone."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from safetensors.numpy import load_file

from tfloom.feature_specs.errors import DataError
from tfloom.trainers.convert_pth import convert


class Tensor:
    """As much of torch.Tensor as is asked of one."""

    def __init__(self, values):
        self.values = values

    def detach(self):
        return self

    def contiguous(self):
        return self

    def float(self):
        return Tensor(self.values.astype(np.float32))

    def numpy(self):
        return self.values


@pytest.fixture
def torch(monkeypatch):
    def standing_in(read):
        def load(source, *, map_location, weights_only):
            assert (map_location, weights_only) == ("cpu", True)
            if isinstance(read, Exception):
                raise read
            return read

        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(load=load))

    return standing_in


TENSORS = {"conv1.weight": Tensor(np.arange(6.0).reshape(2, 3)), "bn1.num_batches_tracked": Tensor(np.array(7))}


@pytest.mark.parametrize("within", [lambda t: t, lambda t: {"epoch": 3, "state_dict": t}], ids=["bare", "checkpoint"])
def test_a_state_dict(tmp_path, torch, within):
    torch(within(TENSORS))
    assert convert(tmp_path / "in.pth", tmp_path / "out.safetensors") == 2
    read = load_file(tmp_path / "out.safetensors")
    np.testing.assert_array_equal(read["conv1.weight"], np.arange(6, dtype=np.float32).reshape(2, 3))
    assert {one.dtype.name for one in read.values()} == {"float32"}


def test_what_is_none(tmp_path, torch):
    torch({"epoch": 3, "arch": "resnet50"})
    with pytest.raises(DataError, match=r"(?s)holds no state dict.*epoch, arch"):
        convert(tmp_path / "in.pth", tmp_path / "out")


def test_what_only_code_could_read(tmp_path, torch):
    torch(RuntimeError("Weights only load failed.\nmore"))
    with pytest.raises(DataError, match=r"(?s)cannot be read.*Weights only load failed\.$"):
        convert(tmp_path / "in.pth", tmp_path / "out")


def test_without_pytorch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(DataError, match=r"(?s)PyTorch is not installed.*pip install torch"):
        convert(tmp_path / "in.pth", tmp_path / "out")
