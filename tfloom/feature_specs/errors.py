"""The errors a user can cause: what is wrong and where, what was expected, what was received."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from tfloom.feature_specs.storage import named


class TfloomError(ValueError):
    """An error in what the user gave, told in three parts.

    Args:
      what: what is wrong and where, such as ``flights.yaml: columns.3.boundaries is not increasing``.
      expected: what would have been right.
      received: what was found.
    """

    def __init__(self, what: str, *, expected: str = "", received: str = "") -> None:
        what, expected, received = map(named, (what, expected, received))
        self.what, self.expected, self.received = what, expected, received
        lines = [what]
        if expected:
            lines.append(f"  expected: {expected}")
        if received:
            lines.append(f"  received: {received}")
        super().__init__("\n".join(lines))

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (type(self), self.what, self.expected, self.received)


class SpecError(TfloomError):
    """A feature spec or a train spec that cannot be."""


class DataError(TfloomError):
    """Data that cannot be read, or that does not have what the spec asks for."""


class ArtefactError(TfloomError):
    """A directory that is not the transform output, the model or the export it was taken for."""


class JobError(TfloomError):
    """A job of a Beam runner that did not end well; what it wrote is not published."""


def _rebuild(cls: type[TfloomError], what: str, expected: str, received: str) -> TfloomError:
    return cls(what, expected=expected, received=received)


def nearest(name: str, names: Iterable[str]) -> str:
    """The names there are, the one that `name` probably meant first: for the `expected` part of an error."""
    known = sorted(set(names))
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    listing = ", ".join(known[:20]) + (f", ... ({len(known)} in all)" if len(known) > 20 else "")
    return f"{close[0]!r}, or another of: {listing}" if close else f"one of: {listing or '(there are none)'}"
