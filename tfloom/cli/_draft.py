"""A spec that a command writes: `infer` and `convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import console, table
from tfloom.feature_specs.directories import absent, whole_file
from tfloom.feature_specs.draft import Draft
from tfloom.feature_specs.storage import named

Out = Annotated[Path, typer.Option("--output", "-o", help="Where to write the spec.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write over a spec that is there.")]


def check(out: Path, overwrite: bool) -> None:
    """Raise ArtefactError where a spec would be written over, before there is any work in it."""
    absent(out, overwrite)


def write(draft: Draft, out: Path) -> None:
    """Write it, and say what it holds and what not."""
    with whole_file(out) as part:
        part.write_text(draft.to_yaml(), encoding="utf-8")
    table(
        ["column", "kind", "reads"],
        [[c.name, c.kind, ", ".join([*c.inputs(), *c.parents()])] for c in draft.spec.columns],
    )
    for name, why in draft.left_out.items():
        console.print(f"left out: {name}, {why}")
    for name, why in draft.suspects.items():
        console.print(f"suspected leak: {name}, {why}")
    for label in draft.spec.labels:
        console.print(f"label {label.name}: {label.task}")
    console.print(f"written: {named(out)}")
