import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate


class TestConstant(ColumnContract):
    rows = {"constant_other": pa.array([1, 2, None, 4, 5, 6, 7, 8], pa.float32())}
    columns = {
        "constant_tenth": {"kind": "constant", "value": 0.1},
        "constant_other": {"kind": "numeric", "missing": 0.0},
    }
    transformed = {"constant_tenth": [0.1] * 8, "constant_other": [1, 2, 0, 4, 5, 6, 7, 8]}
    no_raw = {"constant_tenth": "constant has no tf.feature_column over raw rows"}


@pytest.mark.parametrize("columns", [["x"], ["x", "y"]])
def test_a_spec_is_not_of_constants_alone(columns):
    with pytest.raises(SpecError) as error:
        validate({"columns": [{"name": name, "kind": "constant", "value": 1} for name in columns]}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.x: no column beside it reads the data"
    assert error.value.received == ", ".join(columns)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_constant_is_finite(value):
    with pytest.raises(SpecError, match="a finite number"):
        validate({"columns": [{"name": "x", "kind": "constant", "value": value}]}, FeatureSpec, "spec")
