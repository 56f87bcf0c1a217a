"""Print a benchmark's table and write build/bench/<name>.json."""

from __future__ import annotations

import itertools
import json
import operator
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

Target = tuple[float, str, float]
"""(value, one of HOLDS, target)."""

HOLDS = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def record(name: str, rows: Sequence[Mapping[str, Any]], targets: Mapping[str, Target]) -> None:
    """Print and write the rows, those of the same columns as a table, and for each target whether it is met."""
    met = {
        what: {"value": value, "target": target, "met": HOLDS[sign](value, target)}
        for what, (value, sign, target) in targets.items()
    }
    # Where it goes into a file no line is cut to the 80 characters that a terminal is taken to have.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    for columns, of_table in itertools.groupby(rows, key=tuple):
        table = Table(*columns, title=name)
        for row in of_table:
            table.add_row(*map(_text, row.values()))
        console.print(table)
    for what, (value, sign, target) in targets.items():
        console.print(f"{what}: {_text(value)} ({sign} {_text(target)}: {'met' if met[what]['met'] else 'NOT met'})")
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False).stdout.strip()
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    path = Path("build/bench") / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    told = {"commit": commit, "machine": machine, "rows": list(rows), "targets": met}
    path.write_text(json.dumps(told, indent=2) + "\n")
    console.print(f"written: {path}")


def _text(value: Any) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else str(value)
