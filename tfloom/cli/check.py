"""`tfloom check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, counts, table
from tfloom.cli._data import DataArgument, Eval, Test, Train, by_split


def command(
    spec: Annotated[Path, typer.Argument(help="The feature spec, .yaml or .json.")],
    data: DataArgument = None,
    train: Train = None,
    eval_: Eval = None,
    test: Test = None,
) -> None:
    """Read all of the data by a spec, and say what would become of it."""
    from tfloom import api

    told = api.check(spec, by_split(data, train, eval_, test))
    out = max(told.rows["out"], 1)
    inputs = told.spec.inputs
    table(
        ["column", "kind", "reads", "dtype", "missing"],
        [
            [
                column.name,
                column.kind,
                ", ".join([*column.inputs(), *column.parents()]),
                ", ".join(dict.fromkeys(str(inputs[name].dtype) for name in column.inputs())),
                " ".join(f"{told.missing[name] / out:.1%}" for name in column.inputs() if told.missing[name]),
            ]
            for column in told.spec.columns
        ],
    )
    for name, values in told.labels.items():
        console.print(f"label {name}: " + ", ".join(f"{n:,} {value} ({n / out:.1%})" for value, n in values.items()))
    console.print("rows: " + counts(told.rows.items()))
    console.print("splits: " + counts(told.splits.items()))
    for reason, n in told.reasons.items():
        console.print(f"rejected: {n:,} x {reason}")
