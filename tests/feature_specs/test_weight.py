"""Sample weights out of a column of the data."""

import numpy as np
import pyarrow as pa
import pytest

from tfloom.feature_specs import FeatureSpec
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.validation import validate
from tfloom.feature_specs.weight import Weight

NAN, NONE = float("nan"), "none"


def found(weight, values):
    """Its weight by row: None where missing, NONE where it is none."""
    weights, known = weight.weights(pa.array(values))
    assert weights.type == pa.float32()
    return [w if k else NONE for w, k in zip(weights.to_pylist(), known.to_pylist(), strict=True)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, 1, 2, None], [0, 1, 2, None]),
        ([0.5, -0.0, NAN, None], [0.5, 0, None, None]),
        (["2", "0.1", "NA", "", None, "nan"], [2, float(np.float32(0.1)), None, None, None, None]),
        ([True, False], [1, 0]),
        ([-1, 3], [NONE, 3]),
        ([-1e-9, float("inf"), 1e39], [NONE, NONE, NONE]),
        (["much", "-2", "inf"], [NONE, NONE, NONE]),
    ],
)
def test_a_weight_is_a_number_of_0_or_more(values, expected):
    assert found(Weight(source="w"), values) == expected
    instead = [2.5 if one is None else one for one in expected]
    assert found(Weight(source="w", missing=2.5), values) == instead


@pytest.mark.parametrize(
    ("weight", "what"),
    [
        ({}, "spec: weight.source: is missing"),
        ({"source": "w", "missing": -1}, "spec: weight.missing: is not right"),
        ({"source": "w", "missing": NAN}, "spec: weight.missing: is not right"),
        ({"source": "w", "mising": 1}, "spec: weight.mising: there is no 'mising'"),
    ],
)
def test_what_it_cannot_be(weight, what):
    with pytest.raises(SpecError) as error:
        validate({"columns": [{"name": "x", "kind": "numeric"}], "weight": weight}, FeatureSpec, "spec")
    assert error.value.what == what
