"""pandas. Its hash is its own, so are the ids; what it learned is no graph that can be served."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from .columns import NUMBERS, QUANTILES, STRINGS, VOCABULARIES, Z_SCORES


def run(data: Path, to: str, folder: Path, of: str) -> None:
    """The columns of flights as Parquet."""
    rows = pd.read_parquet(data, columns=[*NUMBERS, *STRINGS])
    made = {name: z_score(rows[source]) for name, source in Z_SCORES.items()}
    made |= {name: bucket(rows[source], 20) for name, source in QUANTILES.items()}
    made |= {name: vocabulary(rows[name]) for name in VOCABULARIES}
    made["tailnum"] = hashed(rows["tailnum"], 4096)
    made["route"] = hashed(rows["origin"] + "_X_" + rows["dest"], 1000)
    delay = rows["arr_delay"]
    made["late"] = (delay > 15).fillna(False).astype(np.int64).where(delay.notna(), -1)
    pd.DataFrame(made).to_parquet(folder / "examples.parquet", compression="zstd", index=False)


def z_score(x: pd.Series) -> pd.Series:
    """Missing is the mean."""
    return ((x - x.mean()) / x.std(ddof=0)).fillna(0).astype(np.float32)


def bucket(x: pd.Series, buckets: int) -> np.ndarray:
    """Missing goes to the last one."""
    boundaries = x.quantile(np.arange(1, buckets) / buckets)
    return np.searchsorted(boundaries, x.to_numpy(float), side="right")


def vocabulary(x: pd.Series) -> pd.Series:
    """Most frequent first, ties in reverse lexicographic order."""
    counts = x.value_counts().reset_index().sort_values(["count", x.name], ascending=False)
    return x.map(pd.Series(np.arange(len(counts)), counts[x.name])).fillna(-1).astype(np.int64)


def hashed(x: pd.Series, buckets: int) -> pd.Series:
    """-1 where missing."""
    ids = (pd.util.hash_pandas_object(x, index=False) % buckets).astype(np.int64)
    return ids.where(x.notna(), -1)
