"""`tfloom list`."""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from tfloom.cli._console import table
from tfloom.feature_specs import discovery
from tfloom.feature_specs.errors import SpecError, nearest

PACKAGES = {
    "columns": "tfloom.feature_specs.columns",
    "heads": "tfloom.trainers.heads",
    "backbones": "tfloom.trainers.backbones",
}


def command(what: Annotated[str, typer.Argument(help="columns, heads or backbones.")]) -> None:
    """List the kinds of column, the heads or the backbones that there are."""
    if what not in PACKAGES:
        raise SpecError(f"list: there are no {what!r} to list", expected=nearest(what, PACKAGES), received=repr(what))
    found = discovery.places(PACKAGES[what])
    table(
        ["name", "what it is"], [[name, _about(name, module)] for name, modules in found.items() for module in modules]
    )


def _about(name: str, module: str) -> str:
    """The first line of the module's docstring, read without importing it."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        return f"missing: {module}"
    line = (ast.get_docstring(ast.parse(Path(spec.origin).read_text(encoding="utf-8"))) or module).splitlines()[0]
    return line.removeprefix(f"`{name}`: ")
