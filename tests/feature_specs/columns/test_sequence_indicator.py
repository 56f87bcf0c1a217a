import pyarrow as pa
import pytest

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate

A, B, OTHER = [1, 0, 0], [0, 1, 0], [0, 0, 1]


class TestSequenceIndicator(ColumnContract):
    rows = {
        "sequence_indicator_seen": pa.array(
            [["a"], ["b", "", "a", "a"], [], None, ["z", "b"], [None], ["b", "a", "z"], ["b"]]
        ),
    }
    inputs = {"sequence_indicator_seen": {"multi_valued": True}}
    columns = {
        "sequence_indicator_seen": {"kind": "vocabulary", "vocabulary": ["a", "b"], "oov_buckets": 1},
        "sequence_indicator_all": {"kind": "sequence_indicator", "of": "sequence_indicator_seen"},
        "sequence_indicator_first": {
            "kind": "sequence_indicator", "of": "sequence_indicator_seen", "max_length": 1
        },
        "sequence_indicator_last": {
            "kind": "sequence_indicator", "of": "sequence_indicator_seen", "max_length": 2, "keep": "last"
        },
    }  # fmt: skip
    transformed = {"sequence_indicator_seen": [[0], [1, 0, 0], [], [], [2, 1], [], [1, 0, 2], [1]]}
    encoded = {
        "sequence_indicator_all": [[A], [B, A, A], [], [], [OTHER, B], [], [B, A, OTHER], [B]],
        "sequence_indicator_first": [[A], [B], [], [], [OTHER], [], [B], [B]],
        "sequence_indicator_last": [[A], [A, A], [], [], [OTHER, B], [], [A, OTHER], [B]],
    }
    no_raw = {
        "sequence_indicator_first": "no tf.feature_column has a max_length",
        "sequence_indicator_last": "no tf.feature_column has a max_length",
    }
    no_transformed = no_raw


def test_what_it_cannot_be():
    columns = [{"name": "x", "kind": "numeric"}, {"name": "x_in", "kind": "sequence_indicator", "of": "x"}]
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.x_in.of: 'x' has no ids"
    assert error.value.received == "'x', which is numeric"
