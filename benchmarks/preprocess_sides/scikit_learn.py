"""scikit-learn's ColumnTransformer, over pandas frames.

It does less: a missing number counts as the mean in the quantiles too, OrdinalEncoder numbers categories by the
alphabet, and FeatureHasher makes a matrix, not ids: those are by pandas' hash here, a column at once. What it learned
is no graph that can be served.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, KBinsDiscretizer, OrdinalEncoder, StandardScaler

from .columns import NUMBERS, QUANTILES, STRINGS, VOCABULARIES, Z_SCORES


def run(data: Path, to: str, folder: Path, of: str) -> None:
    """The columns of flights as Parquet."""
    columns = ColumnTransformer(
        [
            (
                "z",
                make_pipeline(StandardScaler(), SimpleImputer(strategy="constant", fill_value=0)),
                [*Z_SCORES.values()],
            ),
            # Of all rows: by itself it takes 200,000 of them.
            (
                "q",
                make_pipeline(SimpleImputer(), KBinsDiscretizer(20, encode="ordinal", subsample=None)),
                [*QUANTILES.values()],
            ),
            ("words", OrdinalEncoder(), [*VOCABULARIES]),
            ("tailnum", FunctionTransformer(hashed, kw_args={"buckets": 4096}), ["tailnum"]),
            ("route", FunctionTransformer(hashed, kw_args={"buckets": 1000}), ["origin", "dest"]),
            ("late", FunctionTransformer(late), ["arr_delay"]),
        ]
    )
    made = columns.fit_transform(pd.read_parquet(data, columns=[*NUMBERS, *STRINGS]))
    names = [*Z_SCORES, *QUANTILES, *VOCABULARIES, "tailnum", "route", "late"]
    types = {name: np.float32 if name in Z_SCORES else np.int64 for name in names}
    frame = pd.DataFrame(made, columns=names).astype(types)
    frame.to_parquet(folder / "examples.parquet", compression="zstd", index=False)


def hashed(rows: pd.DataFrame, buckets: int) -> np.ndarray:
    """[rows, 1], -1 where the first is missing."""
    first, *others = (rows[name] for name in rows)
    text = first.str.cat(others, sep="_X_") if others else first
    ids = (pd.util.hash_pandas_object(text, index=False) % buckets).astype(np.int64)
    return ids.where(first.notna(), -1).to_numpy()[:, None]


def late(rows: pd.DataFrame) -> np.ndarray:
    """[rows, 1]."""
    delay = rows["arr_delay"]
    return (delay > 15).fillna(False).astype(np.int64).where(delay.notna(), -1).to_numpy()[:, None]
