"""What the kinds cannot read, said where it is known first: in the spec, or once the data is looked at."""

import pyarrow as pa
import pytest

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.resolve import resolve

ONE_VALUE = [
    ({"kind": "numeric"}, pa.array([[1.0, 2.0]])),
    ({"kind": "piecewise_linear", "bins": 2}, pa.array([[1.0, 2.0]])),
    ({"kind": "bucketized", "boundaries": [1]}, pa.array([[1, 2]])),
    ({"kind": "image", "height": 2, "width": 2}, pa.array([[b"a", b"b"]])),
]


@pytest.mark.parametrize(("fields", "values"), ONE_VALUE, ids=[fields["kind"] for fields, _ in ONE_VALUE])
def test_one_value_a_row(fields, values):
    column = {"name": "x", "source": "many"} | fields
    what = f"columns.x: {fields['kind']} cannot read 'many', which is multi-valued"
    for said in ({"multi_valued": True}, {"delimiter": "|"}):
        with pytest.raises(SpecError) as at_load:
            validate({"inputs": {"many": said}, "columns": [column]}, FeatureSpec, "spec")
        assert at_load.value.what == f"spec: {what}"
        assert at_load.value.expected == "an input with one value a row"
    spec = validate({"columns": [column]}, FeatureSpec, "spec")
    with raw_rows.opened(pa.table({"many": values})) as sources, pytest.raises(SpecError) as at_resolve:
        resolve(spec, sources)
    assert at_resolve.value.what == what
