import keras
import pytest


@pytest.fixture
def float64():
    """What a test makes of layers computes in float64, so that it can be held to a formula in numpy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float64")
    yield
    keras.config.set_dtype_policy(before)
