"""`tfloom predict`."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._beam import BeamCommand
from tfloom.cli._console import console, counts, progress_console, table, tensorflow
from tfloom.cli._data import DATA
from tfloom.cli._job import watched
from tfloom.feature_specs.directories import ExportDirectory
from tfloom.feature_specs.errors import SpecError
from tfloom.feature_specs.storage import named

CLASS = BeamCommand

SHOWN = 20


def command(
    context: typer.Context,
    export: Annotated[Path, typer.Argument(help="The export, or one version of it.")],
    data: Annotated[list[str], typer.Argument(help=f"{DATA}; no labels needed.")],
    out: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="A .parquet or .csv file for the predictions; with a --runner a folder, or bq://project.dataset.table.",
        ),
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="A column of DATA to put before them; may be repeated. Left out, the spec's key."),
    ] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="The first so many rows; left out, all.")] = None,
    window: Annotated[
        str | None,
        typer.Option(help="Of video files: a row for each window of so long, such as 2s or 500ms, not for each file."),
    ] = None,
    stride: Annotated[
        str | None, typer.Option(help="How long after each other windows begin; left out, as long as they are.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Write over a folder or a table that is there.")
    ] = False,
) -> None:
    """Predict for raw rows, or for video files, with an export.

    On this machine, in memory, unless a --runner of Beam is named, which scores tables of any size; every other option
    is Beam's too.
    """
    directory = ExportDirectory.open(export)
    if context.args:
        for name, value in {"rows": rows, "window": window, "stride": stride}.items():
            if value is not None:
                raise SpecError(f"--{name}: is not for a job on Beam, which scores all rows", expected=f"no --{name}",
                                received=f"--{name} {value}")  # fmt: skip
        _score(directory, data, out, key, context.args, overwrite)
        return
    _predict(directory, data, out, key, rows, _seconds("window", window), _seconds("stride", stride))


def _score(
    export: ExportDirectory,
    data: list[str],
    out: str | None,
    key: list[str] | None,
    options: Sequence[str],
    overwrite: bool,
) -> None:
    if out is None:
        raise SpecError("--output: is missing, and a job on Beam writes its predictions there",
                        expected="a new folder, or bq://project.dataset.table", received="no --output")  # fmt: skip
    began = time.perf_counter()
    with watched("predicting") as watching:
        with tensorflow():
            from tfloom import api
        told = api.score(export, data, out, options, key=key or None, overwrite=overwrite, **watching)
    console.print("rows: " + counts(told["rows"].items()))
    for reason, n in told["reasons"].items():
        console.print(f"rejected: {n:,} x {reason}")
    console.print(f"written: {named(out)} in {time.perf_counter() - began:.0f} s")


def _predict(
    export: ExportDirectory,
    data: list[str],
    out: str | None,
    key: list[str] | None,
    rows: int | None,
    window: float | None,
    stride: float | None,
) -> None:
    with progress_console.status("predicting"):
        with tensorflow():
            from tfloom import api
        told = api.predict(export, data, out, key=key or None, rows=rows, window=window, stride=stride)
    shown = told.slice(0, SHOWN)
    keys = set(key or export.spec.key)  # an id of 2013 is no amount of 2,013
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


def _seconds(name: str, text: str | None) -> float | None:
    """2s, 1.5s, 500ms or 1min, and 2 is 2s."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(ms|s|min|)", text)
    if found is None or not float(found[1]):
        raise SpecError(f"--{name}: is no time", expected="such as 2s, 500ms or 1min", received=text)
    return float(found[1]) * {"ms": 0.001, "s": 1, "min": 60, "": 1}[found[2]]


def _text(value: object) -> object:
    if isinstance(value, list):
        return ", ".join(f"{one:.4f}" if isinstance(one, float) else str(one) for one in value)
    return "" if value is None else value
