"""One small transform output for every test of the Keras trainer and what is around it."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

import tfloom
from tfloom.feature_specs import FeatureSpec

SPEC = {
    "inputs": {"tags": {"multi_valued": True}},
    "columns": [
        {"name": "x", "kind": "numeric"},
        {"name": "town", "kind": "identity", "buckets": 4},
        {"name": "tags", "kind": "identity", "buckets": 3},
        {"name": "town_vec", "kind": "embedded", "of": "town", "dimension": 2},
    ],
    "labels": [
        {"name": "late", "source": "y", "above": 0},
        {"name": "y"},
        {"name": "kept", "above": 0, "missing": "keep"},
        {"name": "kept_value", "source": "kept", "missing": "keep"},
    ],
    "split": {"by": "column", "source": "part"},
    "groups": {"wide": ["town", "tags"], "deep": ["x", "town_vec"]},
}


def rows(start: int, stop: int) -> pa.Table:
    """Every third row is of eval; `x` says which row it is, and `y` is greater in the towns 2 and 3.

    `kept` is missing in every tenth row from row 4, else -1 or 1.
    """
    numbers = range(start, stop)
    return pa.table(
        {
            "x": [i / 128 for i in numbers],
            "town": [i % 4 for i in numbers],
            "tags": pa.array([[0, 1, 2][: i % 4] for i in numbers], pa.list_(pa.int64())),
            "y": [i % 4 - 1.5 + i * 7 % 11 / 4 - 1.25 for i in numbers],
            "kept": [None if i % 10 == 4 else i % 2 * 2.0 - 1 for i in numbers],
            "part": ["eval" if i % 3 == 2 else "train" for i in numbers],
        }
    )


@pytest.fixture(scope="session")
def transformed_files(tmp_path_factory):
    """The rows 0 to 180 out of two files: 60 rows of the split train of each, 30 of eval."""
    folder = tmp_path_factory.mktemp("trainers")
    for name, of in {"a": (0, 90), "b": (90, 180)}.items():
        pq.write_table(rows(*of), folder / f"{name}.parquet")
    return tfloom.preprocess(FeatureSpec.model_validate(SPEC), str(folder / "*.parquet"), folder / "transformed")


PICTURES = {
    "columns": [
        {
            "name": "photo",
            "kind": "image",
            "height": 6,
            "width": 6,
            "augmentation": {"crop": [0.4, 1.0], "flip": True, "brightness": 0.2, "contrast": 0.2},
        },
        {"name": "same", "kind": "image", "source": "photo", "height": 8, "width": 8, "scale": "none"},
    ],
    "labels": [{"name": "bright", "classes": 2, "missing": "keep"}],
    "split": {"by": "column", "source": "part"},
    "groups": {"image": ["photo"], "also": ["same"]},
}


@pytest.fixture(scope="session")
def transformed_pictures(tmp_path_factory):
    """48 pictures of noise, the first 36 of the split train; every tenth from the fourth has no label."""
    rng, numbers = np.random.default_rng(4), range(48)
    pixels = [rng.integers(0, 200, size=(8, 8, 3)) + i % 2 * 50 for i in numbers]
    table = pa.table(
        {
            "photo": [tf.io.encode_png(one.astype(np.uint8)).numpy() for one in pixels],
            "bright": [None if i % 10 == 4 else i % 2 for i in numbers],
            "part": ["train" if i < 36 else "eval" for i in numbers],
        }
    )
    return tfloom.preprocess(FeatureSpec.model_validate(PICTURES), table, tmp_path_factory.mktemp("pictures") / "made")
