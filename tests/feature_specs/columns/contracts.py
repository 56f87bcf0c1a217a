"""Every contract that there is."""

from __future__ import annotations

import importlib
from pathlib import Path

from tests.feature_specs.columns.contract import ColumnContract


def contracts() -> list[type[ColumnContract]]:
    """Those of every test module in this folder."""
    names = [f"tests.feature_specs.columns.{path.stem}" for path in sorted(Path(__file__).parent.glob("test_*.py"))]
    return [
        value
        for module in map(importlib.import_module, names)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, ColumnContract) and value.__module__ == module.__name__
    ]
