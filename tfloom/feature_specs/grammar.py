"""How expressions in a spec are written: those of `where` and of the columns that are computed from others.

Python's own parser reads them and nothing is ever run: each language lets through what it has a meaning for.
`is missing` is Python's `is None`; a name that is no plain word stands in backquotes, as in `hours-per-week`.
"""

from __future__ import annotations

import ast
import math
import re
from collections.abc import Callable
from typing import Any

COMPARISONS: dict[type, str] = {
    ast.Eq: "equal", ast.NotEq: "not_equal", ast.Lt: "less",
    ast.LtE: "less_equal", ast.Gt: "greater", ast.GtE: "greater_equal",
}  # fmt: skip
"""The functions that compare, by the name that pyarrow.compute and tf.math share."""

_NOT_PYTHON = re.compile(
    r"""'(?:[^'\\]|\\.)*' | "(?:[^"\\]|\\.)*"  # a text: left alone
    | `(?P<name>[^`]+)` | \bis\s+(?P<no>not\s+)?missing\b""",
    re.VERBOSE | re.DOTALL,
)


class OutsideError(Exception):
    """A part that the grammar has no place for. node: the part. expected: what could stand there instead."""

    def __init__(self, node: ast.AST, expected: str = "") -> None:
        super().__init__(node, expected)
        self.node, self.expected = node, expected


class UnreadableError(Exception):
    """A text that is no expression. position: where it ceases to be one, from 0. expected: as in OutsideError."""

    def __init__(self, position: int, expected: str = "") -> None:
        super().__init__(position, expected)
        self.position, self.expected = position, expected


def parse(text: str, check: Callable[[ast.expr], object]) -> ast.expr:
    """The expression as a tree.

    check: raises OutsideError for a part that has no meaning.

    Raises:
      UnreadableError: where it is not the Python that is let through, with the place.
    """
    quoted: dict[int, str] = {}

    def to_python(match: re.Match[str]) -> str:
        # As long as before, so that a place in the one is that place in the other.
        if match["name"]:
            quoted[match.start()] = match["name"]
            return "_" * len(match[0])
        return match[0] if match[0][0] in "'\"" else f"is {(match['no'] and 'not ') or ''}None".rjust(len(match[0]))

    python = _NOT_PYTHON.sub(to_python, text)
    try:
        # In brackets, so that it may stand on several lines, and that `a) + (b` is none.
        bracket = ast.parse(f"[{python}\n]", mode="eval").body
        if not (isinstance(bracket, ast.List) and len(bracket.elts) == 1):
            raise UnreadableError(_failure(python))
        (tree,) = bracket.elts
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                node.id = quoted.pop(_start(python, node), node.id)
        if quoted:  # a`b`
            raise UnreadableError(min(quoted))
        check(tree)
    except OutsideError as error:
        raise UnreadableError(_start(python, error.node), error.expected) from error
    except SyntaxError as error:
        raise UnreadableError(_failure(python)) from error
    except (ValueError, OverflowError, RecursionError, MemoryError) as error:  # no Unicode, too long, too deep
        raise UnreadableError(0) from error
    return tree


def values(node: ast.expr) -> list[Any]:
    """The value, or the values of a list: all of them texts, or all of them finite numbers and booleans."""
    try:
        value = ast.literal_eval(node)
    except (ValueError, TypeError) as error:
        raise OutsideError(node) from error
    found = list(value) if isinstance(value, tuple | list) else [value]
    if not (all(isinstance(v, str) for v in found) or all(isinstance(v, int | float) for v in found)):
        raise OutsideError(node)
    if not all(math.isfinite(v) for v in found if not isinstance(v, str)):
        raise OutsideError(node)
    return found


def _start(python: str, node: ast.AST) -> int:
    """Where a node of the tree starts in the text, which lay in a bracket."""
    lines = [0, *(match.end() for match in re.finditer(r"\r\n|\r|\n", python))]
    line, column = getattr(node, "lineno", 1), getattr(node, "col_offset", 1)
    start = lines[line - 1]
    before = python[start:].encode()[: column - (line == 1)]  # a column is counted in bytes
    return start + len(before.decode())


def _failure(python: str) -> int:
    """Where Python ceases to read it, on one line: in a bracket it would look for a comma from the start."""
    flat = re.sub(r"\s", " ", python)
    indent = len(flat) - len(flat.lstrip())
    try:
        ast.parse(flat[indent:], mode="eval")
    except SyntaxError as error:
        return indent + error.offset - 1 if error.offset else len(python)  # its end has no offset
    return 0
