"""`tfloom evaluate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfloom.cli._console import progress_console, table, tensorflow
from tfloom.feature_specs.directories import ModelDirectory


def command(
    model: Annotated[Path, typer.Argument(help="The model directory.")],
    data: Annotated[
        list[str] | None,
        typer.Argument(help="Data with labels; left out, a split of what it learned from."),
    ] = None,
    split: Annotated[str, typer.Option(help="train, eval or test, where there is no DATA.")] = "test",
    slice_by: Annotated[str | None, typer.Option("--slice", help="A column of DATA: metrics by value.")] = None,
) -> None:
    """Say how good a model is: on held-out rows, or on other data."""
    directory = ModelDirectory.open(model)
    with progress_console.status("evaluating"):
        with tensorflow():
            from tfloom import api
        told = api.evaluate(directory, data, split=split, slice_by=slice_by)
    rows = {"all" if data else split: told} | told.get("slices", {})
    names = [name for name, value in told.items() if isinstance(value, int | float)]
    table([slice_by or "", *names], [[str(key), *(_number(one[name]) for name in names)] for key, one in rows.items()])


def _number(value: Any) -> Any:
    return value if isinstance(value, int) else float(value)
