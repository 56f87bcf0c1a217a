"""Raw data on the command line: files for the spec's own split, or files by split."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tfloom.feature_specs.errors import DataError

DATA = "CSV, Parquet, JSON lines or TFRecord files, globs, bq://project.dataset.table, or a .sql file"

DataArgument = Annotated[list[str] | None, typer.Argument(help=f"{DATA}.")]
Train = Annotated[list[str] | None, typer.Option("--train", help="Files of the train split, instead of DATA.")]
Eval = Annotated[list[str] | None, typer.Option("--eval", help="Files of the eval split.")]
Test = Annotated[list[str] | None, typer.Option("--test", help="Files of the test split.")]


def by_split(data: list[str] | None, train: list[str] | None, eval_: list[str] | None, test: list[str] | None) -> Any:
    """What the functions of tfloom.api take as data."""
    named = {name: files for name, files in (("train", train), ("eval", eval_), ("test", test)) if files}
    if bool(data) == bool(named) or (named and "train" not in named):
        raise DataError(
            "data: is given in no way that can be read",
            expected="DATA, for the spec's own split, or --train FILE with --eval FILE and --test FILE",
            received=" and ".join([*(["DATA"] if data else []), *(f"--{name}" for name in named)]) or "nothing",
        )
    return named or data
