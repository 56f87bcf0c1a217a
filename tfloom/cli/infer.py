"""`tfloom infer`."""

from __future__ import annotations

from typing import Annotated

import typer

from tfloom.cli import _draft
from tfloom.cli._data import DATA


def command(
    data: Annotated[list[str], typer.Argument(help=f"{DATA}; the test split's too.")],
    label: Annotated[str, typer.Option(help="The column to learn.")],
    out: _draft.Out,
    overwrite: _draft.Overwrite = False,
) -> None:
    """Write a spec to start from, one that trains as it is: what becomes of each column, and in comments why.

    It looks at types, missing values, how many values there are and how they are spread, times, places, texts that hold
    several values. What tells the label nearly alone is flagged as a suspected leak; ids and free text are left out.
    """
    from tfloom.pipeline.infer import survey

    _draft.check(out, overwrite)
    _draft.write(survey(data, label), out)
