"""polars. Its hash is its own, so are the ids; what it learned is no graph that can be served."""

from __future__ import annotations

from pathlib import Path

import polars as pl

from .columns import NUMBERS, QUANTILES, STRINGS, VOCABULARIES, Z_SCORES


def run(data: Path, to: str, folder: Path, of: str) -> None:
    """The columns of flights as Parquet."""
    rows = pl.read_parquet(data, columns=[*NUMBERS, *STRINGS])
    rows.select(
        *(z_score(pl.col(source)).alias(name) for name, source in Z_SCORES.items()),
        *(bucket(rows[source], 20).alias(name) for name, source in QUANTILES.items()),
        *(vocabulary(rows[name]) for name in VOCABULARIES),
        hashed(pl.col("tailnum"), 4096).alias("tailnum"),
        hashed(pl.concat_str("origin", "dest", separator="_X_"), 1000).alias("route"),
        (pl.col("arr_delay") > 15).cast(pl.Int64).fill_null(-1).alias("late"),
    ).write_parquet(folder / "examples.parquet", compression="zstd")


def z_score(x: pl.Expr) -> pl.Expr:
    """Missing is the mean."""
    return ((x - x.mean()) / x.std(ddof=0)).fill_null(0).cast(pl.Float32)


def bucket(x: pl.Series, buckets: int) -> pl.Series:
    """Missing goes to the last one."""
    present = x.drop_nulls().sort()
    boundaries = present.gather([len(present) * i // buckets for i in range(1, buckets)])
    ids = boundaries.search_sorted(x, side="right").cast(pl.Int64)
    return pl.select(pl.when(x.is_null()).then(buckets - 1).otherwise(ids)).to_series()


def vocabulary(x: pl.Series) -> pl.Series:
    """Most frequent first, ties in reverse lexicographic order."""
    counts = x.drop_nulls().value_counts().sort(["count", x.name], descending=True)
    return x.replace_strict(counts[x.name], range(len(counts)), default=-1, return_dtype=pl.Int64)


def hashed(x: pl.Expr, buckets: int) -> pl.Expr:
    """-1 where missing."""
    return pl.when(x.is_null()).then(-1).otherwise((x.hash() % buckets).cast(pl.Int64))
