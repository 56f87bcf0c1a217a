"""`tfloom predict`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, progress_console, table, tensorflow
from tfloom.cli._data import DATA
from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.storage import named

SHOWN = 20


def command(
    export: Annotated[Path, typer.Argument(help="The export, or one version of it.")],
    data: Annotated[list[str], typer.Argument(help=f"{DATA}; no labels needed.")],
    out: Annotated[
        Path | None, typer.Option("--output", "-o", help="A .parquet or .csv file for the predictions.")
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A column of DATA to put before them; may be repeated. Left out, the spec's key."),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="The first so many rows; left out, all.")] = None,
) -> None:
    """Predict for raw rows with an export."""
    directory = ExportDirectory.open(export)
    with progress_console.status("predicting"):
        with tensorflow():
            from tfloom import api
        told = api.predict(directory, data, out, key=key or None, rows=rows)
    shown = told.slice(0, SHOWN)
    keys = set(key or directory.spec.key)  # an id of 2013 is no amount of 2,013
    table(
        told.schema.names,
        [[str(value) if name in keys else _text(value) for name, value in row.items()] for row in shown.to_pylist()],
    )
    if told.num_rows > shown.num_rows:
        console.print(f"... {told.num_rows:,} rows in all")
    if "rejected" in told.schema.names:
        console.print(f"rejected: {told.num_rows - told.column('rejected').null_count:,} rows")
    if out is not None:
        console.print(f"written: {named(out)}")


def _text(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(f"{one:.4f}" if isinstance(one, float) else str(one) for one in value)
    return "" if value is None else value
