"""`tfloom verify`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, progress_console, table, tensorflow
from tfloom.feature_specs.directories import ExportDirectory


def command(
    export: Annotated[Path, typer.Argument(help="The export, or one version of it.")],
    data: Annotated[list[str], typer.Argument(help="The raw data that was preprocessed.")],
    rows: Annotated[int | None, typer.Option(min=1, help="The first so many rows; left out, all.")] = None,
    transformed: Annotated[
        Path | None, typer.Option(help="The transform output; left out, the one that the export was made from.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            help="Of a running server's model: http://localhost:8501/v1/models/flights, or grpc://localhost:8500/flights."
        ),
    ] = None,
) -> None:
    """Prove that what is served is what was trained. Exit 1 where anything differs."""
    directory = ExportDirectory.open(export)
    with progress_console.status("verifying"):
        with tensorflow():
            from tfloom import api
        told = api.verify(directory, data, rows=rows, transformed=transformed, url=url)
    named = {"transformed values": told.transformed, "predictions": told.predictions}
    table(["what", "compared", "differing"], [[name, one.compared, one.differing] for name, one in named.items()])
    for name, one in named.items():
        for first in one.first:
            console.print(f"{name}: {first}")
    console.print(f"{told.rows:,} rows verified, {told.mismatches:,} mismatches")
    raise typer.Exit(1 if told.mismatches else 0)
