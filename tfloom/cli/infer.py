"""`tfloom infer`."""

from __future__ import annotations

from typing import Annotated

import typer

from tfloom.cli import _draft


def command(
    data: Annotated[
        list[str], typer.Argument(help="CSV, Parquet or TFRecord files, or globs of them: those of the test split too.")
    ],
    label: Annotated[str, typer.Option(help="The column to learn.")],
    out: _draft.Out,
    overwrite: _draft.Overwrite = False,
) -> None:
    """Write a spec to start from: types, missing values, vocabulary or hash by how many values there are."""
    from tfloom.pipeline.infer import survey

    _draft.check(out, overwrite)
    _draft.write(survey(data, label), out)
