"""A spec of 300 columns, 100 vocabularies among them: how long it validates, and how long it preprocesses.

python benchmarks/columns_300.py [--rows 20000]

Validation is `load_spec` in a fresh process, the imports it needs included.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import yaml
from _record import record

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

FOLDER = Path("build/bench/columns_300")
WORDS, NUMBERS = 100, 60


def columns() -> list[dict[str, Any]]:
    """300 of them: of every word a vocabulary, of some a hash, a cross with a bucketized number and an embedding."""
    words, numbers = [f"word_{i}" for i in range(WORDS)], [f"number_{i}" for i in range(NUMBERS)]
    made = [{"name": name, "kind": "vocabulary", "oov_buckets": 1} for name in words]
    made += [{"name": name, "kind": "numeric", "scale": "z_score", "missing": "mean"} for name in numbers]
    made += [{"name": f"{name}_q", "kind": "bucketized", "source": name, "quantiles": 10} for name in numbers[:40]]
    made += [{"name": f"{name}_h", "kind": "hashed", "source": name, "buckets": 1_000} for name in words[:30]]
    made += [
        {"name": f"{word}_x_{number}", "kind": "crossed", "of": [word, f"{number}_q"], "buckets": 10_000}
        for word, number in zip(words[:20], numbers, strict=False)
    ]
    return made + [{"name": f"{name}_vec", "kind": "embedded", "of": name, "dimension": 8} for name in words[:50]]


def spec() -> dict[str, Any]:
    return {
        "columns": columns(),
        "labels": [{"name": "label", "positive": 1}],
        "split": {"by": "hash", "of": ["row"]},
    }


def data(rows: int) -> pa.Table:
    """Words by Zipf's law, some of them missing, and normal numbers."""
    rng = np.random.default_rng(0)
    words = {f"word_{i}": pa.array([f"w{w}" if w < 500 else None for w in rng.zipf(1.3, rows)]) for i in range(WORDS)}
    numbers = {f"number_{i}": rng.normal(i, 1 + i, rows) for i in range(NUMBERS)}
    return pa.table(words | numbers | {"label": rng.integers(2, size=rows), "row": np.arange(rows)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    given = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    path, table = FOLDER / "spec.yaml", FOLDER / "rows.parquet"
    path.write_text(yaml.safe_dump(spec(), sort_keys=False, default_flow_style=None))
    pq.write_table(data(given.rows), table)

    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import tfloom; tfloom.load_spec({str(path)!r})"], check=True)
    validation = time.perf_counter() - begun

    import tfloom

    begun = time.perf_counter()
    tfloom.preprocess(path, str(table), FOLDER / "transformed", overwrite=True)
    preprocessing = time.perf_counter() - begun
    kinds = ", ".join(f"{n} {kind}" for kind, n in Counter(column["kind"] for column in columns()).items())
    record(
        "columns_300",
        [
            {"step": f"validate: {kinds}", "seconds": validation},
            {"step": f"preprocess {given.rows:,} rows", "seconds": preprocessing},
        ],
        {"a spec of 300 columns validates in, seconds": (validation, "<=", 2.0)},
    )


if __name__ == "__main__":
    main()
