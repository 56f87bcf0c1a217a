"""CSV: text, with a header and any number of lines to a record.

A file is cut into pieces of whole records. Arrow parses a piece whose quotes are in order; any other is read record by
record, so that a quote that is not closed costs the line it stands on and not those that follow.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tfloom.pipeline import streams
from tfloom.pipeline.formats import Batch, Damage, decoded, found_in, regrouped, shown

ENDINGS = (".csv",)
PLACE = "line"

BLOCK = 4 << 20
"""Bytes parsed at once; a row has to fit into them."""

_UNCLOSED = "a quote is not closed"
_FIELDS = "another number of fields than the header"

_BESIDE_A_QUOTE = np.isin(np.arange(256), list(b',"\r\n'))
"""By byte, whether it may stand outside a quote that opens or closes a field."""


@dataclass(frozen=True)
class _Record:
    """values: None where a quote is not closed. line: counted from 1. start, end: where it lies in its piece."""

    values: list[str] | None
    line: int
    start: int
    end: int


@dataclass(frozen=True)
class _Piece:
    """Whole records. records: each by itself, where their quotes are not in order. lost: what comes instead of more."""

    content: bytes
    records: list[_Record] | None = None
    lost: Damage | None = None


def is_one(path: str) -> bool:
    """Whatever is no file of another format."""
    return True


def schema(path: str) -> pa.Schema:
    """The columns of the header, all of them text. Raises OSError where there is none."""
    with streams.opened(path) as stream:
        return pa.schema([pa.field(name, pa.string()) for name in _header(_pieces(stream))[0]])


def batches(path: str, columns: Sequence[str] | None, size: int) -> Iterator[Batch]:
    """See the package."""
    with streams.opened(path) as stream:
        pieces = _pieces(stream)
        header, first = _header(pieces)
        wanted = [name for name in header if columns is None or name in columns]
        fields = pa.schema([pa.field(name, pa.string()) for name in wanted])
        yield from regrouped(_parsed(first, pieces, header, wanted), size, fields)


def places(path: str, rows: Collection[int], records: Collection[int] = ()) -> tuple[dict[int, int], dict[int, int]]:
    """See the package. Records are counted from 1, the header among them and blank lines not."""
    of_rows: dict[int, int] = {}
    of_records: dict[int, int] = {}
    row, record, fields, before = -1, 0, 0, 0
    with streams.opened(path) as stream:
        for piece in _pieces(stream):
            for one in _each(piece):
                record += 1
                fields = fields or len(one.values or ())
                if one.values is not None and len(one.values) == fields:
                    if row in rows:
                        of_rows[row] = before + one.line
                    row += 1
                elif record in records:
                    of_records[record] = before + one.line
            before += len(piece.content.splitlines())
    return of_rows, of_records


def _parsed(first: _Piece, others: Iterator[_Piece], header: list[str], wanted: list[str]) -> Iterator[Batch]:
    record = 1
    piece: _Piece | None = first
    while piece is not None:
        rows, damages = _by_arrow(piece, header, wanted, record) or _one_by_one(piece, header, wanted, record)
        record += rows.num_rows + len(damages)
        damages += [piece.lost] if piece.lost else []
        columns = []
        for name, values in zip(wanted, rows.columns, strict=True):
            texts, bad = _texts(name, values, b"\0" in piece.content)
            columns.append(texts)
            damages += bad
        yield Batch(pa.RecordBatch.from_arrays(columns, wanted), tuple(damages))
        piece = next(others, None)


def _by_arrow(
    piece: _Piece, header: list[str], wanted: list[str], record: int
) -> tuple[pa.RecordBatch, list[Damage]] | None:
    """The rows, columns of binary, and the records that are none; None where Arrow cannot tell them."""
    if piece.records is not None:
        return None
    damages: list[Damage] = []

    def on_malformed(row: pyarrow.csv.InvalidRow) -> str:
        damages.append(Damage(_FIELDS, record=record + row.number, shown=shown(row.text)))
        return "skip"

    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(piece.content),
            pyarrow.csv.ReadOptions(use_threads=False, block_size=len(piece.content) + 1, column_names=header),
            pyarrow.csv.ParseOptions(invalid_row_handler=on_malformed, newlines_in_values=True),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.binary()),
                strings_can_be_null=True,
                null_values=[""],
                include_columns=wanted,
            ),
        )
    except pa.ArrowInvalid:
        return None
    arrays = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(arrays, wanted), damages


def _one_by_one(
    piece: _Piece, header: list[str], wanted: list[str], record: int
) -> tuple[pa.RecordBatch, list[Damage]]:
    """As `_by_arrow`."""
    rows: list[list[str]] = []
    damages: list[Damage] = []
    for number, one in enumerate(_each(piece), record + 1):
        if one.values is not None and len(one.values) == len(header):
            rows.append(one.values)
        else:
            why = _UNCLOSED if one.values is None else _FIELDS
            damages.append(Damage(why, record=number, shown=shown(piece.content[one.start : one.end].rstrip(b"\r\n"))))
    indices = [header.index(name) for name in wanted]
    columns = [[row[i].encode("utf-8", "surrogateescape") or None for row in rows] for i in indices]
    return pa.RecordBatch.from_arrays([pa.array(column, pa.binary()) for column in columns], wanted), damages


def _texts(name: str, values: pa.Array, suspect: bool) -> tuple[pa.Array, list[Damage]]:
    """Binary values as text without spaces around it, null where nothing is left, and the rows where they are none."""
    texts, damages = decoded(name, values)
    if suspect:
        damages += found_in(pc.match_substring(texts, "\0"), name, "holds a NUL byte")
    trimmed = pc.utf8_trim_whitespace(texts)
    return pc.if_else(pc.equal(trimmed, ""), None, trimmed), damages


# -- pieces -------------------------------------------------------------------------------------------------------


def _header(pieces: Iterator[_Piece]) -> tuple[list[str], _Piece]:
    """The names of the columns, and what follows of the first piece."""
    piece = next(pieces, _Piece(b""))
    records = _each(piece, at_most=1)
    if not records:
        raise OSError(piece.lost.reason if piece.lost else "it is empty, without a header")
    head = records[0]
    if head.values is None:
        raise OSError(f"{_UNCLOSED} in the header: {shown(piece.content[: head.end])}")
    try:
        "".join(head.values).encode()
    except UnicodeEncodeError:
        raise OSError(f"the header is no UTF-8: {shown(piece.content[: head.end])}") from None
    others = None if piece.records is None else piece.records[1:]
    content = piece.content if others is not None else piece.content[head.end :]
    return [name.strip(" \t") for name in head.values], _Piece(content, others, piece.lost)


def _each(piece: _Piece, at_most: int | None = None) -> list[_Record]:
    return _records(piece.content, True, at_most)[0] if piece.records is None else piece.records


def _pieces(stream: io.BufferedReader) -> Iterator[_Piece]:
    """The file in whole records, about BLOCK bytes at once."""
    rest = stream.read(len(codecs.BOM_UTF8))
    if rest.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise OSError("it is UTF-16, and not UTF-8")
    offset = len(codecs.BOM_UTF8) if rest == codecs.BOM_UTF8 else 0
    rest, ended = rest[offset:], False
    while not ended:
        read = stream.read(BLOCK)
        content, ended, lost = rest + read, len(read) < BLOCK, None
        reason = streams.broken(stream) if ended else None
        records, end = None, _whole(content, ended and not reason)
        if end is None:
            records, end = _records(content, ended and not reason)
        if reason:
            lost = Damage(f"{reason}: the rest is lost", shown=shown(content[end:]), offset=offset + end)
        if end or lost:
            yield _Piece(content[:end], records, lost)
        rest, offset = content[end:], offset + end


def _whole(content: bytes, ended: bool) -> int | None:
    """Where the last whole record ends; None where quotes are not in order, or none ends."""
    places, around = np.array([], np.int64), np.array([], np.uint8)
    if b'"' in content:
        around = np.frombuffer(b"\n" + content + b"\n", np.uint8)
        places = np.flatnonzero(around == ord('"'))
    count = len(places)
    if not (_BESIDE_A_QUOTE[around[places[::2] - 1]].all() and _BESIDE_A_QUOTE[around[places[1::2] + 1]].all()):
        return None
    if ended:
        return None if count % 2 else len(content)
    end = b"\n" if b"\n" in content else b"\r"
    until = len(content) - (end == b"\r")  # the last may be half of an end
    # A line ends a record where as many quotes are closed before it as are opened.
    for i in range(count - count % 2, -1, -2):
        after, before = int(places[i - 1]) if i else 0, int(places[i]) - 1 if i < count else until
        if (at := content.rfind(end, after, before)) >= 0:
            return at + 1
    return None


def _records(content: bytes, ended: bool, at_most: int | None = None) -> tuple[list[_Record], int]:
    """The records, and where the last of them ends.

    A quote that is not closed before the end, within BLOCK bytes, or where a field ends is not closed at all: the next
    record is then on the next line.
    """
    csv.field_size_limit(max(csv.field_size_limit(), 2 * BLOCK))
    lines = content.splitlines(keepends=True)
    if not ended and lines and not lines[-1].endswith(b"\n"):
        del lines[-1]
        if not lines and len(content) >= BLOCK:
            raise OSError(f"a line of more than {BLOCK:,} bytes")
    starts = [0, *np.cumsum([len(line) for line in lines]).tolist()]
    result: list[_Record] = []
    feed, at = _Lines(lines), 0
    while at < len(lines) and len(result) != at_most:
        feed.at = at
        values = _values(feed)
        if feed.ran_out and not ended and len(content) - starts[at] < BLOCK:
            break
        following = at + 1 if values is None else feed.at
        if values != []:  # a blank line is no record
            result.append(_Record(values, at + 1, starts[at], starts[following]))
        at = following
    return result, starts[at]


def _values(feed: _Lines) -> list[str] | None:
    """The fields of the record that begins where the feed is; None where a quote is not closed."""
    first = feed.at
    try:
        return next(csv.reader(feed, strict=True))
    except csv.Error:  # a quote that nothing closes, or text after one that closes
        if feed.ran_out or feed.at > first + 1:
            return None
    feed.at = first
    values = next(csv.reader(feed))
    return values if feed.at == first + 1 and not feed.ran_out else None


class _Lines:
    """Lines to read a record of, from any of them on. ran_out: whether it asked for more than there are."""

    def __init__(self, lines: list[bytes]) -> None:
        self.lines, self.at, self.ran_out = lines, 0, False

    def __iter__(self) -> _Lines:
        self.ran_out = False
        return self

    def __next__(self) -> str:
        if self.at == len(self.lines):
            self.ran_out = True
            raise StopIteration
        self.at += 1
        return self.lines[self.at - 1].decode("utf-8", "surrogateescape")
