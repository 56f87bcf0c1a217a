"""`tfloom export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, progress_console, table, tensorflow
from tfloom.feature_specs.directories import ModelDirectory
from tfloom.feature_specs.storage import named


def command(
    model: Annotated[Path, typer.Argument(help="The model directory.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="Where the versions of the export lie.")] = Path("export"),
) -> None:
    """Write the next version of a SavedModel that TF Serving serves, after TensorFlow's C API has tried it."""
    directory = ModelDirectory.open(model)
    with progress_console.status("exporting"):
        with tensorflow():
            from tfloom import api
        export = api.export(directory, out)
    card = export.model_card
    table(
        ["signature", "inputs", "outputs"],
        [[name, ", ".join(one["inputs"]), ", ".join(one["outputs"])] for name, one in card["signatures"].items()],
    )
    for where, names in card["tried"].items():
        console.print(f"tried: {', '.join(names)} by the {where}")
    console.print(f"written: {named(export.path)}")
