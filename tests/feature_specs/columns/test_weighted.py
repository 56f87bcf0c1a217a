import numpy as np
import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tests.feature_specs.served import served
from tfloom.feature_specs.columns.indicator import Indicator
from tfloom.feature_specs.encoded import Encoded
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

NAN, INF = float("nan"), float("inf")


class TestWeighted(ColumnContract):
    rows = {
        "weighted_tags": pa.array([
            ["a", "b"], ["b", "", "c"], [], None, ["z", "a", "z", "a"], ["a"], ["c", "b", "a"], ["ü"]
        ]),
        "weighted_by": pa.array([[1, 0.5], [2, 9, -1], [], None, [3, 1, 0, -0.25], [0], [1e-3, 7, 1e30], [4]]),
        "weighted_times": pa.array([[2, 1], [0, 5, -3], [], None, [1, 1, 1, 1], [9], [1, 2, 3], [2**24 + 1]]),
        "weighted_code": pa.array([3, 0, 9, None, -1, 3, 0, 1]),
        "weighted_amount": pa.array([0.5, 1.5, 2, None, None, 0, -1, 0.1]),
    }  # fmt: skip
    inputs = {"weighted_times": {"dtype": "int64"}, "weighted_code": {"dtype": "int64", "optional": True}}
    columns = {
        "weighted_given": {"kind": "vocabulary", "source": "weighted_tags", "vocabulary": ["a", "b", "c"]},
        "weighted_hashed": {"kind": "hashed", "source": "weighted_tags", "buckets": 2},
        "weighted_code": {"kind": "identity", "buckets": 10},
        "weighted_tagged": {"kind": "weighted", "of": "weighted_given", "weights": "weighted_by"},
        "weighted_tagged_in": {"kind": "indicator", "of": "weighted_tagged"},
        "weighted_hash": {"kind": "weighted", "of": "weighted_hashed", "weights": "weighted_by"},
        "weighted_counted": {"kind": "weighted", "of": "weighted_given", "weights": "weighted_times"},
        "weighted_coded": {"kind": "weighted", "of": "weighted_code", "weights": "weighted_amount"},
        "weighted_coded_in": {"kind": "indicator", "of": "weighted_coded"},
    }
    weights = [[1, 0.5], [2, -1], [], [], [3, 1, 0, -0.25], [0], [1e-3, 7, 1e30], [4]]
    transformed = {
        "weighted_given": [[0, 1], [1, 2], [], [], [-1, 0, -1, 0], [0], [2, 1, 0], [-1]],
        "weighted_hashed": [[1, 0], [0, 0], [], [], [1, 1, 1, 1], [1], [0, 0, 1], [1]],
        "weighted_code": [[3], [0], [9], [], [], [3], [0], [1]],
        # With a value that is dropped goes its weight; an unknown one, -1, keeps it.
        "weighted_tagged": weights,
        "weighted_hash": weights,
        "weighted_counted": [[2, 1], [0, -3], [], [], [1, 1, 1, 1], [9], [1, 2, 3], [2**24]],
        "weighted_coded": [[0.5], [1.5], [2], [], [], [0], [-1], [0.1]],
    }
    encoded = {
        "weighted_tagged_in": [
            [1, 0.5, 0], [0, 2, -1], [0, 0, 0], [0, 0, 0], [0.75, 0, 0], [0, 0, 0], [1e30, 7, 1e-3], [0, 0, 0]
        ],
        "weighted_coded_in": [
            [weight if i == code else 0 for i in range(10)]
            for code, weight in [(3, 0.5), (0, 1.5), (9, 2), (9, 0), (9, 0), (3, 0), (0, -1), (1, 0.1)]
        ],
    }  # fmt: skip


def weighed(of, **inputs):
    return validate({
        "inputs": inputs,
        "columns": [
            {"name": "ids", "source": "x"} | of,
            {"name": "weighed", "kind": "weighted", "of": "ids", "weights": "w"},
        ],
    }, FeatureSpec, "spec")  # fmt: skip


LETTERS = {"kind": "vocabulary", "vocabulary": ["a", "b", "c"]}
CODES = {"kind": "identity", "buckets": 9}
MANY = {"multi_valued": True}


@pytest.mark.parametrize(
    ("of", "inputs", "x", "w", "ids", "weights"),
    [
        # A weight that is missing is 0, and its value is there all the same.
        (LETTERS, {"x": MANY, "w": MANY}, [["a", "b", "c"]], [[None, NAN, 2.0]], [[0, 1, 2]], [[0, 0, 2]]),
        (LETTERS, {"w": {"optional": True}}, ["a", "b"], [None, 2.0], [[0], [1]], [[0], [2]]),
        # A value that is missing takes its weight with it, wherever it is dropped: '' of the data, -1 in the graph.
        (LETTERS, {"x": MANY, "w": MANY}, [["a", None, "", "b"]], [[1.0, 2.0, 3.0, 4.0]], [[0, 1]], [[1, 4]]),
        (CODES, {"x": MANY | {"dtype": "int64"}, "w": MANY}, [[5, -1, 7]], [[1.0, 2.0, 3.0]], [[5, 7]], [[1, 3]]),
        (LETTERS, {"x": {"optional": True}, "w": {}}, [None, "", "b"], [1.0, 2.0, 3.0], [[], [], [1]], [[], [], [3]]),
        # As texts: the weights need no dtype, though they look like none.
        (LETTERS, {"x": {"delimiter": "|"}, "w": {"delimiter": "|"}},
         ["a|b||c", None, "", "b"], ["0.5| 2|9|-1", "", None, "1e2"], [[0, 1, 2], [], [], [1]],
         [[0.5, 2, -1], [], [], [100]]),
        (LETTERS, {"x": {"delimiter": ";"}, "w": {"delimiter": "/", "dtype": "float32", "na_values": ["?"]}},
         ["a;b;c"], ["1/?/3"], [[0, 1, 2]], [[1, 0, 3]]),
        # The rows of the page.
        (LETTERS, {"x": {"delimiter": "|"}, "w": {"delimiter": "|"}}, ["a|b|a", "b||a", "z"], ["0.5|2|1", "-1|7|", "3"],
         [[0, 1, 0], [1, 0], [-1]], [[0.5, 2, 1], [-1, 0], [3]]),
        (LETTERS, {"x": MANY, "w": MANY | {"dtype": "int64"}}, [["a", "b"]], [[None, -7]], [[0, 1]], [[0, -7]]),
        (LETTERS, {"x": MANY, "w": MANY}, [["a", "b"]], [[INF, -INF]], [[0, 1]], [[INF, -INF]]),
    ],
)  # fmt: skip
def test_a_weight_is_that_of_the_value_at_its_place(of, inputs, x, w, ids, weights, transform):
    made = transform(weighed(of, **inputs), x=x, w=w)
    assert (made["ids"], made["weighed"]) == (ids, weights)


@pytest.mark.parametrize(
    ("x", "w", "weights"),
    [
        (["a", "b", "c"], [1], [1, 0, 0]),
        (["a", "b"], [], [0, 0]),
        (["a"], [1, 2], [1]),
        ([], [1], []),
        (["", "b", "", "c"], [1, 2, 3], [2, 0]),
        (["z", "a"], [NAN, 2], [0, 2]),
    ],
)
def test_a_served_row_of_other_lengths(x, w, weights):
    inputs = {"x": {"dtype": "string", "optional": True}, "w": {"dtype": "float32", "optional": True}}
    spec = weighed(LETTERS, **{name: one | MANY for name, one in inputs.items()})
    # Other rows about it keep their own.
    made = served(spec, {"x": [["c"], x, ["b", "a"]], "w": [[7], w, [8, 9]]})
    assert made["weighed"] == [[7], weights, [8, 9]]


def test_an_infinite_weight_is_nothing_to_other_ids():
    spec = weighed(LETTERS)
    columns = spec.by_name | {"counts": Indicator(name="counts", of="weighed")}
    values = {"ids": np.array([[0, 2]]), "weighed": np.float32([[INF, 2]])}
    feature = Encoded(columns, values, {}, {"ids": 3, "weighed": 3}).feature("counts")
    assert feature.values.numpy().tolist() == [[INF, 0, 2]]


IDS = {"name": "ids", "kind": "hashed", "source": "x", "buckets": 9}
OTHER = {"name": "other", "kind": "hashed", "source": "y", "buckets": 9}
W = {"name": "w", "kind": "weighted", "of": "ids", "weights": "weight"}
CODED = {"name": "coded", "kind": "hashed", "source": "weight", "buckets": 9}
NO_IDS = "does not have an id for each value of an input"


@pytest.mark.parametrize(
    ("columns", "what", "received"),
    [
        ([IDS, {"name": "n", "kind": "numeric"}, W | {"of": "n"}],
         f"columns.w.of: 'n' {NO_IDS}", "'n', which is numeric"),
        ([IDS, {"name": "n", "kind": "bucketized", "boundaries": [0]}, W | {"of": "n"}],
         f"columns.w.of: 'n' {NO_IDS}", "'n', which is bucketized"),
        ([IDS, W | {"name": "v"}, W | {"of": "v"}], f"columns.w.of: 'v' {NO_IDS}", "'v', which is weighted"),
        ([IDS, {"name": "c", "kind": "crossed", "of": ["ids", {"input": "y"}], "buckets": 9}, W | {"of": "c"}],
         f"columns.w.of: 'c' {NO_IDS}", "'c', which is crossed"),
        ([IDS, W | {"weights": "x"}], "columns.w.weights: the values of 'x' are weights themselves", "'x'"),
        ([IDS, CODED, W, W | {"name": "v", "of": "coded", "weights": "z"}],
         "columns.v.weights: the values of 'weight' are weights themselves", "'z'"),
        ([IDS, OTHER, W, W | {"name": "v", "of": "other"}],
         "columns.w.weights: 'weight' weighs the values of 'y' too", "'weight'"),
    ],
)  # fmt: skip
def test_what_it_cannot_be(columns, what, received):
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.what == f"spec: {what}"
    assert error.value.received == received
    assert error.value.expected


def test_the_columns_that_it_may_be_of_are_named():
    with pytest.raises(SpecError) as error:
        validate({"columns": [IDS, OTHER, {"name": "n", "kind": "numeric"}, W | {"of": "n"}]}, FeatureSpec, "spec")
    assert error.value.expected == "a vocabulary, hashed or identity column, one of: ids, other"


def test_weights_may_be_those_of_several_columns_of_one_input():
    spec = validate({"columns": [IDS, IDS | {"name": "again"}, W, W | {"name": "v", "of": "again"}]}, FeatureSpec, "s")
    assert spec.input_names == ("x", "weight")
