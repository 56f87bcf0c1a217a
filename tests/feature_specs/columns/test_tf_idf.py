import tempfile

import apache_beam as beam
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tests.feature_specs.columns.contract import ColumnContract
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.feature_specs.validation import validate
from tfloom.pipeline.preprocessing_fn import preprocessing_fn

# Of the six training rows two have a pie, three an a and two a b; none has what is new.
PIE, A, B, NEW = (1 + np.log(7 / (rows + 1)) for rows in (2, 3, 2, 0))
ROUGH = {"pie": 1 + np.log(6 / 2), "a": 1 + np.log(6 / 3)}
NO = "tf_idf has no tf.feature_column over raw rows"


class TestTfIdf(ColumnContract):
    rows = {
        "tf_idf_said": pa.array(["pie Pie a", "a b", "", None, "pie b b b", "a", "pie new", "new"]),
        "tf_idf_tags": pa.array([["x", "z"], ["x", "x"], [], ["y"], None, [], ["x", "y", "z", "z"], ["y"]]),
    }
    inputs = {"tf_idf_tags": {"multi_valued": True}}
    columns = {
        "tf_idf_words": {"kind": "text", "source": "tf_idf_said", "oov_buckets": 1},
        "tf_idf_given": {"kind": "vocabulary", "source": "tf_idf_tags", "vocabulary": ["x", "y"]},
        "tf_idf_weighed": {"kind": "tf_idf", "of": "tf_idf_words"},
        "tf_idf_weighed_in": {"kind": "indicator", "of": "tf_idf_weighed"},
        "tf_idf_rough": {"kind": "tf_idf", "of": "tf_idf_words", "smooth": False},
        "tf_idf_low": {"kind": "tf_idf", "of": "tf_idf_words", "add_baseline": False},
        "tf_idf_both": {"kind": "tf_idf", "of": "tf_idf_given", "smooth": False, "add_baseline": False},
    }
    transformed = {
        # b four times, pie and a three times each; out of the vocabulary is 3.
        "tf_idf_words": [[1, 1, 2], [2, 0], [], [], [1, 0, 0, 0], [2], [1, 3], [3]],
        "tf_idf_given": [[0, -1], [0, 0], [], [1], [], [], [0, 1, -1, -1], [1]],
        # A share for each occurrence: the frequency of pie in the first row is 2/3.
        "tf_idf_weighed": [
            [PIE / 3, PIE / 3, A / 3], [A / 2, B / 2], [], [], [PIE / 4, B / 4, B / 4, B / 4], [A], [PIE / 2, NEW / 2],
            [NEW],
        ],
        # What no training row has is 0, where N / df would be infinite.
        "tf_idf_rough": [
            [ROUGH["pie"] / 3, ROUGH["pie"] / 3, ROUGH["a"] / 3], [ROUGH["a"] / 2, ROUGH["pie"] / 2], [], [],
            [ROUGH["pie"] / 4] * 4, [ROUGH["a"]], [ROUGH["pie"] / 2, 0], [0],
        ],
        "tf_idf_low": [
            [(PIE - 1) / 3, (PIE - 1) / 3, (A - 1) / 3], [(A - 1) / 2, (B - 1) / 2], [], [], [(B - 1) / 4] * 4, [A - 1],
            [(PIE - 1) / 2, (NEW - 1) / 2], [NEW - 1],
        ],
        # x in two rows, y in one. An unknown one weighs nothing, and is among how many ids the row has.
        "tf_idf_both": [
            [np.log(3) / 2, 0], [np.log(3) / 2, np.log(3) / 2], [], [np.log(6)], [], [],
            [np.log(3) / 4, np.log(6) / 4, 0, 0], [np.log(6)],
        ],
    }  # fmt: skip
    encoded = {
        "tf_idf_weighed_in": [
            [0, 2 * PIE / 3, A / 3, 0], [B / 2, 0, A / 2, 0], [0] * 4, [0] * 4, [3 * B / 4, PIE / 4, 0, 0],
            [0, 0, A, 0], [0, PIE / 2, 0, NEW / 2], [0, 0, 0, NEW],
        ],
    }  # fmt: skip
    no_raw = {
        "tf_idf_words": "text has no tf.feature_column over raw rows",
        "tf_idf_weighed_in": NO,
    } | dict.fromkeys(["tf_idf_weighed", "tf_idf_rough", "tf_idf_low", "tf_idf_both"], NO)


def test_equal_to_the_mapper_of_tf_transform():
    """By one job over drawn rows: the weights of an id in a row, summed up, are those that tft.tfidf gives it."""
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(30)]
    texts = [" ".join(rng.choice(words, rng.integers(0, 12), p=np.arange(1, 31) / 465)) for _ in range(120)]
    spec = FeatureSpec.model_validate({
        "inputs": {"x": {"dtype": "string", "optional": True}},
        "columns": [
            {"name": "ids", "kind": "text", "source": "x", "top_k": 20, "oov_buckets": 2},
            {"name": "smooth", "kind": "tf_idf", "of": "ids"},
            {"name": "rough", "kind": "tf_idf", "of": "ids", "smooth": False},
        ],
    })  # fmt: skip

    def both(inputs):
        made = preprocessing_fn(spec)(inputs)
        theirs = {"smooth": tft.tfidf(made["ids"], 22), "rough": tft.tfidf(made["ids"], 22, smooth=False)}
        dense = lambda ids, weights: tf.reshape(tf.math.unsorted_segment_sum(
            weights.values, weights.indices[:, 0] * 22 + ids.values, 22 * weights.dense_shape[0]
        ), [-1, 22])  # fmt: skip
        ours = {name: dense(made["ids"], made[name]) for name in theirs}
        return ours | {f"tft_{name}": dense(*of) for name, of in theirs.items()}

    metadata = tft.DatasetMetadata.from_feature_spec(spec.raw_feature_spec())
    examples = [{"x": [text]} for text in texts]
    with tempfile.TemporaryDirectory() as folder:
        with tft_beam.Context(temp_dir=folder), beam.Pipeline(runner=FnApiRunner()) as pipeline:
            graph = (pipeline | beam.Create(examples), metadata) | tft_beam.AnalyzeDataset(both)
            _ = graph | tft_beam.WriteTransformFn(f"{folder}/out")
        layer = tft.TFTransformOutput(f"{folder}/out").transform_features_layer()
    made = layer({"x": tf.sparse.from_dense(np.array(texts)[:, None])})
    for name in ("smooth", "rough"):
        assert np.count_nonzero(made[name]) > 300
        np.testing.assert_allclose(made[name], made[f"tft_{name}"], rtol=1e-6)


@pytest.mark.parametrize(
    ("of", "kind"),
    [({"kind": "numeric"}, "numeric"), ({"kind": "weighted", "of": "ids", "weights": "w"}, "weighted")],
)
def test_what_it_cannot_be(of, kind):
    ids = {"name": "ids", "kind": "hashed", "source": "tags", "buckets": 2}
    columns = [ids, {"name": "x"} | of, {"name": "t", "kind": "tf_idf", "of": "x"}]
    with pytest.raises(SpecError) as error:
        validate({"columns": columns}, FeatureSpec, "spec")
    assert error.value.what == "spec: columns.t.of: 'x' has no ids of its own"
    assert error.value.expected == "a categorical column, one of: ids"
    assert error.value.received == f"'x', which is {kind}"
