"""`tfloom report`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, progress_console, tensorflow
from tfloom.feature_specs.storage import named


def command(
    folder: Annotated[Path, typer.Argument(help="Where a transform output, a model and an export lie.")],
    out: Annotated[Path, typer.Option("--output", "-o", help="The HTML file to write.")] = Path("report.html"),
) -> None:
    """Write one self-contained HTML file: columns, training, metrics and the verify result."""
    with progress_console.status("writing"):
        with tensorflow():
            from tfloom import api
        path = api.report(folder, out)
    console.print(f"written: {named(path)}, {path.stat().st_size / 1e6:.1f} MB")
