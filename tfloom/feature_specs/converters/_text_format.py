"""The text format of protocol buffers, without a schema: what a file says, field by field."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tfloom.feature_specs.errors import SpecError

_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)|(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
        |(?P<word>[A-Za-z_][\w.]*)|(?P<number>-?(?:0[xX][\da-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf\b|nan\b)[fF]?)
        |(?P<mark>[][{}<>:,;])""",
    re.VERBOSE,
)
_ESCAPE = re.compile(rb"\\(x[\da-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"n": b"\n", b"t": b"\t", b"r": b"\r", b"a": b"\a", b"b": b"\b", b"f": b"\f", b"v": b"\v"}
_CLOSING = {"{": "}", "<": ">"}


class Message:
    """The fields of a message, each with all its values in their order; it knows which of them were read.

    A value is a Message, a str (a string or the name of an enum value), an int, a float or a bool.
    """

    def __init__(self) -> None:
        self._fields: dict[str, list[Any]] = {}
        self._read: set[str] = set()

    def append(self, field: str, values: list[Any]) -> None:
        """Add to the values of a field."""
        self._fields.setdefault(field, []).extend(values)

    def all(self, field: str) -> list[Any]:
        """The values of a repeated field."""
        self._read.add(field)
        return self._fields.get(field, [])

    def messages(self, field: str) -> list[Message]:
        """The values of a repeated field that are messages."""
        return [value for value in self.all(field) if isinstance(value, Message)]

    def get(self, field: str, default: Any = None) -> Any:
        """The value of a field: the last one said, as protocol buffers have it."""
        return (self.all(field) or [default])[-1]

    def unread(self) -> list[str]:
        """The fields that nothing asked for."""
        return [field for field in self._fields if field not in self._read]


def read(path: Path) -> Message:
    """Read a file. Raises SpecError with its line where it is no text format."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"{path}: cannot be read", expected="text, in UTF-8", received=str(error)) from None
    parser = _Parser(str(path), text)
    return parser.message(end=None)


class _Parser:
    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._tokens = list(self._lexed(text))
        self._at = 0

    def _lexed(self, text: str) -> Iterator[tuple[str, str, int]]:
        at, line = 0, 1
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._error(line, text[at : at + 20].split("\n")[0])
            if match.lastgroup != "space":
                yield str(match.lastgroup), match[0], line
            line += match[0].count("\n")
            at = match.end()
        yield "end", "the end of the file", line

    def _error(self, line: int, received: str) -> SpecError:
        return SpecError(f"{self._path}, line {line}: is not the text format of protocol buffers",
                         expected="fields, as in: hash_bucket_size: 100", received=received)  # fmt: skip

    def _next(self, *kinds: str) -> tuple[str, str]:
        kind, text, line = self._tokens[self._at]
        if kind not in kinds:
            raise self._error(line, text)
        self._at += 1
        return kind, text

    def _took(self, *marks: str) -> str | None:
        kind, text, _ = self._tokens[self._at]
        if kind != "mark" or text not in marks:
            return None
        self._at += 1
        return text

    def message(self, end: str | None) -> Message:
        """Fields up to the mark `end`, or to the end of the file."""
        message = Message()
        while not (self._took(end) if end else self._tokens[self._at][0] == "end"):
            _, field = self._next("word")
            colon = self._took(":")
            if self._took("["):
                message.append(field, list(self._listed()))
            else:
                message.append(field, [self._value(scalar=colon is not None)])
            self._took(",", ";")
        return message

    def _listed(self) -> Iterator[Any]:
        while not self._took("]"):
            yield self._value(scalar=True)
            self._took(",")

    def _value(self, scalar: bool) -> Any:
        if opening := self._took("{", "<"):
            return self.message(_CLOSING[opening])
        kind, text = self._next(*(("string", "word", "number") if scalar else ()))
        if kind == "string":
            value = _unquoted(text)
            while self._tokens[self._at][0] == "string":
                value += _unquoted(self._next("string")[1])
            return value.decode(errors="replace")
        if kind == "word":
            return {"true": True, "True": True, "false": False, "False": False}.get(text, text)
        number = text.rstrip("fF") if not text.lower().startswith(("0x", "-0x")) else text
        return int(number, 0) if re.fullmatch(r"-?(0[xX][\da-fA-F]+|0|[1-9]\d*)", number) else float(number)


def _unquoted(text: str) -> bytes:
    def character(match: re.Match[bytes]) -> bytes:
        told = match[1]
        if told[:1] == b"x" and len(told) > 1:
            return bytes([int(told[1:], 16)])
        return bytes([int(told, 8) & 255]) if told.isdigit() and told[0] < ord("8") else _LETTERS.get(told, told)

    return _ESCAPE.sub(character, text[1:-1].encode())
