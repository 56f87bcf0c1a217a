"""Vectors of numbers: what is served where nothing can be rejected, and what a shape cannot be."""

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf

from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline import rows as raw_rows
from tfloom.pipeline.preprocessing_fn import preprocessing_fn
from tfloom.pipeline.resolve import resolve
from tfloom.trainers.servable import named_signature, raw_from_named

NAN = float("nan")
COLUMNS = [
    {"name": "plain", "kind": "numeric", "source": "v", "shape": 2},
    {"name": "filled", "kind": "numeric", "source": "v", "shape": 2, "missing": [7.0, 8.0], "indicator": True},
    {"name": "bucket", "kind": "bucketized", "source": "v", "shape": 2, "boundaries": [0]},
    {"name": "placed", "kind": "interpolated", "source": "v", "shape": 2, "boundaries": [0, 4]},
]


def test_a_vector_of_another_size_is_served_as_a_missing_one():
    inputs = {"v": {"dtype": "float32", "multi_valued": True, "optional": True}}
    spec = FeatureSpec.model_validate({"inputs": inputs, "columns": COLUMNS})
    signature = named_signature(spec)
    assert {name: tuple(one.shape) for name, one in signature.items()} == {"v": (None, None), "v_length": (None,)}
    sent = {"v": [[1, 2, 0], [NAN, -2, 0], [1, 2, 3], [1, 0, 0], [0, 0, 0]], "v_length": [2, 2, 3, 1, 0]}
    named = {name: tf.constant(value, signature[name].dtype) for name, value in sent.items()}
    made = preprocessing_fn(spec)(raw_from_named(spec, named))
    nothing = [NAN, NAN]
    np.testing.assert_array_equal(made["plain"], [[1, 2], [NAN, -2], nothing, nothing, nothing])
    np.testing.assert_array_equal(made["filled"], [[1, 2, 0, 0], [7, -2, 1, 0]] + [[7, 8, 1, 1]] * 3)
    assert tf.sparse.to_dense(made["bucket"]).numpy().tolist() == [[1, 3], [1, 2], [1, 3], [1, 3], [1, 3]]
    np.testing.assert_array_equal(made["placed"], [[0.25, 0.5], [0.5, 0]] + [[0.5, 0.5]] * 3)


def test_columns_agree_on_the_size_of_an_input():
    columns = [COLUMNS[0] | {"shape": [2, 3]}, COLUMNS[2] | {"shape": 6}]
    assert FeatureSpec.model_validate({"columns": columns}).by_name["bucket"].num_buckets(0) == 12
    with pytest.raises(SpecError) as error:
        validate({"columns": [*columns, COLUMNS[3]]}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.plain.shape: columns.placed has 'v' in another shape"
    assert error.value.received == "6 and 2"


@pytest.mark.parametrize("values", [[1.0, 2.0], ["1", "2"]])
def test_one_value_a_row_is_no_vector(values):
    spec = FeatureSpec.model_validate({"inputs": {"v": {"dtype": "float32"}}, "columns": COLUMNS[:1]})
    with raw_rows.opened(pa.table({"v": values})) as sources, pytest.raises(SpecError) as error:
        resolve(spec, sources)
    assert error.value.what == "columns.plain.shape: 'v' is not multi-valued"
    assert error.value.expected == "lists of 2 numbers, or texts with a delimiter that `inputs` says"
    with pytest.raises(SpecError, match="'v' is not multi-valued"):
        validate({"inputs": {"v": {"multi_valued": False}}, "columns": COLUMNS[:1]}, FeatureSpec, "spec")


def test_texts_of_several_numbers_need_a_delimiter():
    spec = FeatureSpec.model_validate({"columns": COLUMNS[:1]})
    with raw_rows.opened(pa.table({"v": ["1;2", "3;4"]})) as sources, pytest.raises(SpecError) as error:
        resolve(spec, sources)
    assert error.value.what == (
        "columns.plain: numeric cannot read 'v', which holds string; inputs.v may say a delimiter, and dtype: float32"
    )
