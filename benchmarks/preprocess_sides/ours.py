"""tfloom's local engine. Beside the columns it materialises where each row came from, and accounts for every row."""

from __future__ import annotations

from pathlib import Path

import tfloom
import tfloom.pipeline.engines.local  # what a run imports, so that its time is told as that of imports
import tfloom.pipeline.preprocess
from tfloom.feature_specs.spec import FeatureSpec

SPEC = Path(__file__).parents[1] / "preprocess.yaml"


def run(data: Path, to: str, folder: Path, of: str) -> None:
    """Materialise a file as `tfrecord` or `parquet`. of: `flights` or `wide`."""
    spec = tfloom.load_spec(SPEC) if of == "flights" else wide()
    tfloom.preprocess(spec, data, folder, overwrite=True, examples=to)  # type: ignore[arg-type]


def wide() -> FeatureSpec:
    """Of 200 columns, each the input of its name."""
    columns = [{"name": f"number_{i}", "kind": "numeric", "scale": "z_score", "missing": "mean"} for i in range(100)]
    columns += [{"name": f"word_{i}", "kind": "vocabulary"} for i in range(50)]
    columns += [{"name": f"code_{i}", "kind": "hashed", "buckets": 4096} for i in range(50)]
    return FeatureSpec.model_validate({"columns": columns, "split": {"by": "hash", "eval": 0, "test": 0}})
