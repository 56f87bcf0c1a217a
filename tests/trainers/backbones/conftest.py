"""What the tests of backbones share."""

import pytest

from tfloom.trainers.network import precision


@pytest.fixture
def in_float64():
    """Layers are made in float64, to be held to formulas in NumPy."""
    with precision("float64"):
        yield
