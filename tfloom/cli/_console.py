"""What commands print with."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """The reader, such as `head`, has seen enough: what is left is done, and exits, without it."""
        self.quiet = True
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


# Where the output is no terminal, such as a log, a table is as wide as a page of code.
console = _Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else 120)
progress_console = Console(stderr=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], title: str | None = None) -> None:
    """Print rows under headers; numbers to the right."""
    made = Table(*headers, title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    listed = [list(row) for row in rows]
    for i, column in enumerate(made.columns):
        column.overflow = "fold"
        if listed and all(isinstance(row[i], int | float) for row in listed):
            column.justify = "right"
    for row in listed:
        made.add_row(*(_text(value) for value in row))
    console.print(made)


def counts(named: Iterable[tuple[str, int]]) -> str:
    """336,776 in, 327,346 out"""
    return ", ".join(f"{n:,} {name}" for name, n in named)


@contextlib.contextmanager
def tensorflow() -> Iterator[None]:
    """Import TensorFlow first, without what its C++ side says to stderr before it listens to any log level."""
    sys.stderr.flush()
    stderr = os.dup(2)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 2)
    try:
        import tensorflow  # noqa: F401
        import tensorflow_transform  # noqa: F401
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(silence)
    yield


def _text(value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
