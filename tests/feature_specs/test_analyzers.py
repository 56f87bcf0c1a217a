"""What columns learn, beside tf.Transform's own mappers of the same rows, by one job: ids and order exactly.

The scales of numeric stand beside tf.Transform's in columns/test_numeric.py.
"""

from __future__ import annotations

import tempfile
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.preprocessing_fn import preprocessing_fn

ROWS = 3_000
BATCH = 500

WORD = {"kind": "vocabulary", "source": "word"}
COUNT = {"kind": "vocabulary", "source": "count"}
TAGS = {"kind": "vocabulary", "source": "tags"}
QUANTILES = {"kind": "bucketized", "source": "x", "quantiles": 7}
COLUMNS = {
    "learned": WORD,
    "oov": WORD | {"top_k": 40, "oov_buckets": 5},
    "often": WORD | {"min_frequency": 9},
    "weighed": WORD | {"weights": "weight"},
    "weighed_top": WORD | {"weights": "weight", "top_k": 25, "oov_buckets": 2},
    "covered": WORD | {"top_k": 10, "coverage": {"key": "^.", "top_k": 3}},
    "covered_often": WORD | {"top_k": 10, "coverage": {"key": "^.", "top_k": 5, "min_frequency": 9}},
    "counted": COUNT | {"oov_buckets": 1},
    "counted_top": COUNT | {"top_k": 11},
    "tagged": TAGS,
    "tagged_weighed": TAGS | {"weights": "weight", "top_k": 15},
    "both_word": WORD | {"shared": "both"},
    "both_tags": TAGS | {"shared": "both"},
    "pairs": {"kind": "crossed", "of": [{"input": "word"}, {"input": "count"}], "collision_free": True, "top_k": 300},
    "quantiles": QUANTILES,
    "quantiles_weighed": QUANTILES | {"weights": "weight"},
    "quantiles_per_key": QUANTILES | {"per_key": "area"},
    "mean": {"kind": "numeric", "source": "holes", "missing": "mean"},
    "bins": {"kind": "piecewise_linear", "source": "x", "bins": 6},
}
INPUTS = {
    "word": {"dtype": "string"},
    "count": {"dtype": "int64"},
    "tags": {"dtype": "string", "multi_valued": True},
    "area": {"dtype": "string"},
    "x": {"dtype": "float32"},
    "weight": {"dtype": "float32"},
    "holes": {"dtype": "float32"},
}


def drawn() -> dict[str, list[list[Any]]]:
    """Values by input, a list a row: words and numbers most of which are as frequent as others."""
    rng = np.random.default_rng(3)
    letters = np.array(list("abcXYZ019äß語🐘 .-"))
    words = ["".join(rng.choice(letters, rng.integers(1, 6))) for _ in range(400)]
    return {
        "word": [[words[i]] for i in np.minimum(rng.zipf(1.3, ROWS) - 1, 399)],
        "count": [[int(i)] for i in rng.integers(-30, 30, ROWS)],
        "tags": [list(rng.choice(words[:90], rng.integers(0, 4))) for _ in range(ROWS)],
        "area": [[area] for area in rng.choice(["north", "south", "", "überall"], ROWS, p=[0.5, 0.3, 0.1, 0.1])],
        "x": [[float(x)] for x in np.float32(rng.standard_t(2, ROWS))],
        # Halves and quarters, whose sums are exact in whatever order they are taken.
        "weight": [[float(w)] for w in rng.integers(1, 9, ROWS) / 4],
        "holes": [[] if rng.random() < 0.2 else [float(np.float32(rng.normal()))] for _ in range(ROWS)],
    }


def theirs(inputs: dict[str, tf.SparseTensor]) -> dict[str, Any]:
    """By column what tf.Transform's mappers make of it; dense inputs without '' and -1."""
    x, weight, word, area = (tf.reshape(tf.sparse.to_dense(inputs[n]), [-1]) for n in ("x", "weight", "word", "area"))
    tags = inputs["tags"]
    of_tags = tf.gather(weight, tags.indices[:, 0])
    count = inputs["count"]
    count = tf.sparse.retain(count, count.values != -1)
    first = lambda entry: entry.decode()[:1]
    both = tft.vocabulary(tf.concat([word, tags.values], 0), vocab_filename="tft_both")
    apart = tf.ragged.cross([tf.RaggedTensor.from_sparse(inputs[name]) for name in ("word", "count")]).flat_values
    vocabulary = tft.compute_and_apply_vocabulary
    low, high, edges = tft.min(x), tft.max(x), tft.quantiles(x, 6, epsilon=0.001)[0]
    edges = tf.concat([[low], edges, [high]], 0)
    part = (x[:, None] - edges[:-1]) / (edges[1:] - edges[:-1])
    part = tf.concat(
        [tf.minimum(part[:, :1], 1), tf.clip_by_value(part[:, 1:-1], 0, 1), tf.maximum(part[:, -1:], 0)], 1
    )
    holes = tf.RaggedTensor.from_sparse(inputs["holes"])
    return {
        "learned": vocabulary(word, name="t1"),
        "oov": vocabulary(word, top_k=40, num_oov_buckets=5, name="t2"),
        "often": vocabulary(word, frequency_threshold=9, name="t3"),
        "weighed": vocabulary(word, weights=weight, name="t4"),
        "weighed_top": vocabulary(word, weights=weight, top_k=25, num_oov_buckets=2, name="t5"),
        "covered": vocabulary(word, top_k=10, coverage_top_k=3, key_fn=first, name="t6"),
        "covered_often": vocabulary(
            word, top_k=10, coverage_top_k=5, coverage_frequency_threshold=9, key_fn=first, name="t7"
        ),
        "counted": vocabulary(count, num_oov_buckets=1, name="t8"),
        "counted_top": vocabulary(count, top_k=11, name="t9"),
        "tagged": vocabulary(tags, name="t10"),
        "tagged_weighed": tags.with_values(vocabulary(tags.values, weights=of_tags, top_k=15, name="t11")),
        "both_word": tft.apply_vocabulary(word, both),
        "both_tags": tft.apply_vocabulary(tags, both),
        "pairs": vocabulary(apart, top_k=300, name="t12"),
        "quantiles": tft.bucketize(x, 7, epsilon=0.001, name="t13"),
        "quantiles_weighed": tft.bucketize(x, 7, epsilon=0.001, weights=weight, name="t14"),
        "quantiles_per_key": tft.bucketize_per_key(x, area, 7, epsilon=0.001, name="t15"),
        "mean": tf.where(
            holes.row_lengths() > 0, holes.to_tensor(0.0, shape=[None, 1])[:, 0], tft.mean(inputs["holes"])
        ),
        "bins": part,
    }


@pytest.fixture(scope="module")
def beside() -> tuple[dict[str, Any], dict[str, Any]]:
    """By column, a list a row: ours, and theirs."""
    columns = [{"name": name} | fields for name, fields in COLUMNS.items()]
    spec = FeatureSpec.model_validate({"inputs": INPUTS, "columns": columns})
    rows = drawn()
    examples = [{name: values[row] for name, values in rows.items()} for row in range(ROWS)]

    def both(inputs: dict[str, tf.SparseTensor]) -> dict[str, Any]:
        return preprocessing_fn(spec)(inputs) | {f"tft_{name}": value for name, value in theirs(inputs).items()}

    metadata = tft.DatasetMetadata.from_feature_spec(spec.raw_feature_spec())
    with tempfile.TemporaryDirectory() as folder:
        with (
            tft_beam.Context(temp_dir=f"{folder}/temp", desired_batch_size=BATCH),
            beam.Pipeline(runner=FnApiRunner()) as pipeline,
        ):
            graph = (pipeline | beam.Create(examples), metadata) | tft_beam.AnalyzeDataset(both)
            _ = graph | tft_beam.WriteTransformFn(f"{folder}/out")
        layer = tft.TFTransformOutput(f"{folder}/out").transform_features_layer()
        dtypes = {name: feature.dtype for name, feature in spec.raw_feature_spec().items()}
        made = layer({name: tf.ragged.constant(rows[name], dtype).to_sparse() for name, dtype in dtypes.items()})
    told = {name: _rows(value) for name, value in made.items()}
    return {name: told[name] for name in COLUMNS}, {name: told[f"tft_{name}"] for name in COLUMNS}


def _rows(value: Any) -> list[list[Any]]:
    if isinstance(value, tf.SparseTensor):
        return tf.RaggedTensor.from_sparse(value).to_list()
    return value.numpy().reshape(ROWS, -1).tolist()


@pytest.mark.parametrize("name", COLUMNS)
def test_equal_to_the_mapper_of_tf_transform(name, beside):
    ours, of_tft = (side[name] for side in beside)
    if name == "bins":
        np.testing.assert_allclose(ours, of_tft, rtol=1e-6, atol=1e-6)
        return
    assert len(ours) == ROWS
    assert len({tuple(row) for row in ours}) > 6  # something was learned
    assert ours == of_tft
