"""`tfloom transform`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfloom.cli._console import progress_console, table, tensorflow
from tfloom.cli._data import DATA
from tfloom.feature_specs.directories import TransformOutput


def command(
    transformed: Annotated[Path, typer.Argument(help="The transform output whose graph to run.")],
    data: Annotated[list[str], typer.Argument(help=f"{DATA}.")],
    rows: Annotated[int, typer.Option(min=1, help="How many rows.")] = 3,
) -> None:
    """Show, for each of the first rows and each column, the raw value and what the model sees of it."""
    output = TransformOutput.open(transformed)
    with progress_console.status("transforming"):
        with tensorflow():
            from tfloom import api
        told = api.transform(output, data, rows)
    for origin in dict.fromkeys(one.origin for one in told):
        table(
            ["column", "kind", "raw", "what the model sees"],
            [
                [one.column, one.kind, ", ".join(f"{name} {_raw(value)}" for name, value in one.raw.items()), one.seen]
                for one in told
                if one.origin == origin
            ],
            title=origin,
        )


def _raw(values: list[Any]) -> str:
    return " | ".join(_value(value) for value in values) or "(missing)"


def _value(value: Any) -> str:
    if isinstance(value, bytes):
        try:
            text = value.decode()
        except UnicodeDecodeError:
            return f"{len(value)} bytes"
        return text or "''"
    return f"{value:.6g}" if isinstance(value, float) else str(value)
