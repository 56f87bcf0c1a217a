"""`tfloom list`."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import table
from tfloom.feature_specs import discovery
from tfloom.feature_specs.errors import SpecError, nearest
from tfloom.feature_specs.spec import KINDS, kind

PACKAGES = {
    "columns": KINDS,
    "heads": "tfloom.trainers.heads",
    "backbones": "tfloom.trainers.backbones",
}


def command(what: Annotated[str, typer.Argument(help="columns, heads or backbones.")]) -> None:
    """List the kinds of column, the heads or the backbones that there are; of columns, what they read and give."""
    if what not in PACKAGES:
        raise SpecError(f"list: there are no {what!r} to list", expected=nearest(what, PACKAGES), received=repr(what))
    found = discovery.places(PACKAGES[what])
    rows = [[name, _about(name, module)] for name, modules in found.items() for module in modules]
    if what == "columns":
        rows = [[*row, *_from_and_to(row[0], found[row[0]])] for row in rows]
        table(["name", "what it is", "the raw row", "the model sees"], rows)
    else:
        table(["name", "what it is"], rows)


def _about(name: str, module: str) -> str:
    """The first line of the module's docstring, read without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return f"missing: {module}"
    line = (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or module).splitlines()[0]
    return line.removeprefix(f"`{name}`: ")


def _from_and_to(name: str, modules: Sequence[str]) -> tuple[str, str]:
    """What a kind of column reads of a raw row, and the typed feature it gives a model, where the kind can be had."""
    if len(modules) > 1 or importlib.util.find_spec(modules[0]) is None:
        return "", ""
    cls = kind(name)
    return cls.raw_row(), cls.feature_type().__name__
