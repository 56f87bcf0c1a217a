"""`tfloom convert`."""

from __future__ import annotations

from typing import Annotated

import typer

from tfloom.cli import _draft
from tfloom.cli._console import progress_console, tensorflow


def command(
    library: Annotated[str, typer.Argument(help="Whose columns: feature_columns, easyrec or feature_space.")],
    source: Annotated[str, typer.Argument(help="What it reads: module:attribute for feature_columns, else a file.")],
    out: _draft.Out,
    overwrite: _draft.Overwrite = False,
) -> None:
    """Write the spec that says what columns of another library say; what cannot be said is listed."""
    from tfloom.feature_specs.converters import convert

    _draft.check(out, overwrite)
    with progress_console.status("converting"), tensorflow():
        draft = convert(library, source)
    _draft.write(draft, out)
