import pyarrow as pa
import pytest
import tensorflow as tf

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline.preprocessing_fn import preprocessing_fn

NAN, INF = float("nan"), float("inf")


def of(source, **fields):
    return {"kind": "sequence_numeric", "source": f"sequence_numeric_{source}"} | fields


def steps(rows):
    return [[[x] for x in row] for row in rows]


X = [[1, 3], [5], [], [], [2.5, INF, -1, 0], [3, 4, 5, 6, 7], [-9, 0], [100]]


class TestSequenceNumeric(ColumnContract):
    rows = {
        # A null or a NaN in between is no step: those after it move up.
        "sequence_numeric_x": pa.array(
            [[1, 3], [None, 5, NAN], [], None, [2.5, INF, -1, 0], [3, 4, 5, 6, 7], [-9, 0], [100]],
            pa.list_(pa.float32()),
        ),
        "sequence_numeric_z": pa.array(
            [[0, 20, 20], [20], [], [NAN], [0, 0, 20], [20, 0, 0, 1000], [60], [-20, 80]], pa.list_(pa.float64())
        ),
        "sequence_numeric_same": pa.array([[7], [7, 7], [], None, [7], [], [9], [7, 5]], pa.list_(pa.int64())),
        "sequence_numeric_xy": pa.array(
            [[1, 2, 3, 4], [5, 6], [], None, [7, 8, 9, 10, 11, 12], [], [0, 0], [-1, 1]], pa.list_(pa.float32())
        ),
    }
    columns = {
        "sequence_numeric_plain": of("x"),
        "sequence_numeric_padded": of("x", padding=-1.0),
        "sequence_numeric_first": of("x", max_length=2),
        "sequence_numeric_last": of("x", max_length=2, keep="last"),
        "sequence_numeric_scaled": of("z", scale="z_score", max_length=3),
        "sequence_numeric_alike": of("same", scale="z_score"),
        "sequence_numeric_count": of("same"),
        "sequence_numeric_pairs": of("xy", dimension=2),
        "sequence_numeric_last_pair": of("xy", dimension=2, max_length=1, keep="last"),
    }
    transformed = {
        "sequence_numeric_plain": X,
        "sequence_numeric_padded": X,
        "sequence_numeric_first": [x[:2] for x in X],
        "sequence_numeric_last": [x[-2:] for x in X],
        # 1000, a fourth step, teaches nothing: the mean of the others is 10, their standard deviation 10.
        "sequence_numeric_scaled": [[-1, 1, 1], [1], [], [], [-1, -1, 1], [1, -1, -1], [5], [-3, 7]],
        # Of one value alone: less the mean.
        "sequence_numeric_alike": [[0], [0, 0], [], [], [0], [], [2], [0, -2]],
        "sequence_numeric_count": [[7], [7, 7], [], [], [7], [], [9], [7, 5]],
        "sequence_numeric_pairs": [[1, 2, 3, 4], [5, 6], [], [], [7, 8, 9, 10, 11, 12], [], [0, 0], [-1, 1]],
        "sequence_numeric_last_pair": [[3, 4], [5, 6], [], [], [11, 12], [], [0, 0], [-1, 1]],
    }
    encoded = {name: steps(rows) for name, rows in transformed.items()} | {
        "sequence_numeric_pairs": [
            [[1, 2], [3, 4]], [[5, 6]], [], [], [[7, 8], [9, 10], [11, 12]], [], [[0, 0]], [[-1, 1]]
        ],
        "sequence_numeric_last_pair": [[[3, 4]], [[5, 6]], [], [], [[11, 12]], [], [[0, 0]], [[-1, 1]]],
    }  # fmt: skip
    no_raw = {
        "sequence_numeric_scaled": "its scale is learned",
        "sequence_numeric_alike": "its scale is learned",
        "sequence_numeric_first": "no tf.feature_column has a max_length",
        "sequence_numeric_last": "no tf.feature_column has a max_length",
        "sequence_numeric_last_pair": "no tf.feature_column has a max_length",
    }

    @pytest.mark.parametrize(("column", "padding"), [("sequence_numeric_plain", 0), ("sequence_numeric_padded", -1)])
    def test_padding(self, column, padding, materialised):
        feature = self.encode(column, materialised)
        assert {value for (value,) in feature.values.numpy()[~feature.mask.numpy()]} == {padding}


def column(**fields):
    return validate({"columns": [{"name": "x", "kind": "sequence_numeric"} | fields]}, FeatureSpec, "spec")


@pytest.mark.parametrize("fields", [{}, {"keep": "last", "max_length": 1}])
def test_what_is_left_over_makes_no_step(fields, transform):
    rows = pa.array([[1.0, 2.0], [3.0, 4.0, 5.0], [6.0]])
    assert transform(column(dimension=2, **fields), x=rows)["x"] == [[1, 2], [3, 4], []]


def test_a_nan_that_a_client_sends_is_no_step():
    spec = FeatureSpec.model_validate(
        {"inputs": {"x": {"dtype": "float32", "multi_valued": True}}} | column(max_length=2).to_dict()
    )
    sent = tf.ragged.constant([[NAN, 1, NAN, 2, 3], [NAN]], tf.float32).to_sparse()
    assert tf.RaggedTensor.from_sparse(preprocessing_fn(spec)({"x": sent})["x"]).to_list() == [[1, 2], []]


@pytest.mark.parametrize(
    ("fields", "place", "expected"),
    [
        ({"dimension": 0}, ".dimension", "greater than or equal to 1"),
        ({"max_length": 0}, ".max_length", "greater than or equal to 1"),
        ({"keep": "last"}, "", "has keep: last, and all steps are kept without max_length"),
        ({"keep": "middle", "max_length": 1}, ".keep", "'first' or 'last'"),
        ({"scale": "min_max"}, ".scale", "'none' or 'z_score'"),
        ({"padding": NAN}, ".padding", "a finite number"),
    ],
)
def test_what_it_cannot_be(fields, place, expected):
    with pytest.raises(SpecError, match=expected) as error:
        column(**fields)
    assert error.value.what == f"spec: columns.0{place}: is not right"
