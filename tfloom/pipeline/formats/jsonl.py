"""JSON lines: an object a line.

The file is read once more for its columns: no line says what the others hold. A column whose values are of several
types is text, as CSV is, but for integers among floats; where one is a list the others are lists of one. An object, or
a list in a list, is its JSON text.
"""

from __future__ import annotations

import codecs
import functools
import io
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.json

from tfloom.feature_specs import storage
from tfloom.pipeline import streams
from tfloom.pipeline.formats import CHUNK_BYTES, Batch, Damage, regrouped, shown

ENDINGS = (".jsonl", ".ndjson", ".json")
PLACE = "line"

BLOCK = 4 << 20
"""Bytes parsed at once."""

_ARROW = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_()}
"""By the one type that a column's values have; of several, or of any other, it is text."""


def is_one(path: str) -> bool:
    """By how the first object begins."""
    with streams.opened(path) as stream:
        head = stream.read(1_000).lstrip(b"\xef\xbb\xbf \t\r\n")
    return head[:1] == b"{" and head[1:].lstrip()[:1] in (b'"', b"}")


def schema(path: str) -> pa.Schema:
    """The keys of all objects. Raises OSError where no line is one."""
    return _schema(path, *storage.stat(path))


def batches(path: str, columns: Sequence[str] | None, size: int) -> Iterator[Batch]:
    """See the package. A damaged line is a row of nulls, so that rows are numbered as lines that are not blank are."""
    whole = schema(path)
    fields = pa.schema(list(whole) if columns is None else [whole.field(name) for name in columns])
    yield from regrouped(_parsed(path, fields), size, fields)


def places(path: str, rows: Collection[int], records: Collection[int] = ()) -> tuple[dict[int, int], dict[int, int]]:
    """See the package."""
    found: dict[int, int] = {}
    row = line = 0
    with streams.opened(path) as stream:
        for content, _ in _pieces(stream):
            for text in content.split(b"\n")[:-1]:
                line += 1
                if text.strip():
                    if row in rows:
                        found[row] = line
                    row += 1
    return found, {}


def _parsed(path: str, fields: pa.Schema) -> Iterator[Batch]:
    with streams.opened(path) as stream:
        for content, lost in _pieces(stream):
            damages: list[Damage] = []
            table = _by_arrow(content, fields)
            if table is not None:
                rows = table.combine_chunks().to_batches()[0]
            else:
                objects, damages = _one_by_one(content)
                columns = _columns(objects, fields.names)
                arrays = [_of_type(columns[field.name], field.type) for field in fields]
                rows = pa.RecordBatch.from_arrays(arrays, schema=fields)
            yield Batch(rows, (*damages, *([lost] if lost else ())))


@functools.lru_cache(maxsize=64)
def _schema(path: str, changed: int, size: int) -> pa.Schema:
    kinds: dict[str, set[str]] = {}
    lists: set[str] = set()
    lines, first = 0, b""
    with streams.opened(path) as stream:
        for content, _ in _pieces(stream):
            first = first or content.lstrip()[:50]
            table = _by_arrow(content)
            if table is not None:
                lines += table.num_rows
                met = {field.name: _kinds_of_type(field.type) for field in table.schema}
                lists.update(field.name for field in table.schema if pa.types.is_list(field.type))
            else:
                objects, _ = _one_by_one(content)
                lines += len(objects)
                columns = _columns(objects, dict.fromkeys(name for one in objects for name in one))
                met = {name: _kinds_of(_flat(values)) for name, values in columns.items()}
                lists.update(name for name, values in columns.items() if list in set(map(type, values)))
            for name, of_column in met.items():
                kinds.setdefault(name, set()).update(of_column)
    if lines and not kinds:
        raise OSError(f"none of its {lines:,} lines is a JSON object that has a key; it begins with {shown(first)!r}")
    plain = {name: _plain(of_column) for name, of_column in kinds.items()}
    return pa.schema([pa.field(name, pa.list_(kind) if name in lists else kind) for name, kind in plain.items()])


def _plain(kinds: set[str]) -> pa.DataType:
    if kinds == {"int", "float"}:
        return pa.float64()
    return _ARROW.get(next(iter(kinds)), pa.string()) if len(kinds) == 1 else pa.string()


def _kinds_of_type(kind: pa.DataType) -> set[str]:
    """What Arrow found in a column."""
    if pa.types.is_list(kind):
        kind = kind.value_type
    if pa.types.is_null(kind):
        return set()
    return {next((name for name, of in _ARROW.items() if of == kind), "text")}


def _kinds_of(values: list[Any]) -> set[str]:
    """The same of values."""
    types = set(map(type, values))
    kinds = {kind.__name__ for kind in types & {bool, float}}
    if int in types:
        kinds |= {"int" if -(2**63) <= one < 2**63 else "float" for one in values if type(one) is int}
    return kinds | ({"text"} if types & {str, list, dict} else set())


def _columns(objects: list[dict[str, Any]], names: Iterable[str]) -> dict[str, list[Any]]:
    return {name: [one.get(name) for one in objects] for name in names}


def _flat(values: list[Any]) -> list[Any]:
    """The values, and those of lists."""
    if list not in set(map(type, values)):
        return values
    return [one for value in values for one in (value if isinstance(value, list) else [value])]


def _of_type(values: list[Any], kind: pa.DataType) -> pa.Array:
    try:
        return pa.array(values, kind)  # most columns are of one type throughout
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return pa.array([_value(one, kind) for one in values], kind)


def _value(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if pa.types.is_list(kind):
        return [_value(one, kind.value_type) for one in (value if isinstance(value, list) else [value])]
    if pa.types.is_string(kind):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return float(str(value)) if pa.types.is_floating(kind) else value


def _by_arrow(content: bytes, fields: pa.Schema | None = None) -> pa.Table | None:
    """The lines as rows, of these fields or of whichever there are; None where Arrow cannot tell them."""
    lines = [line for line in content.split(b"\n") if line and not line.isspace()]
    # It takes null for an object, and falls over it where it comes first.
    if not lines or not all(line.lstrip().startswith(b"{") for line in lines):
        return None
    of = pyarrow.json.ParseOptions(newlines_in_values=False)
    if fields is not None:
        of = pyarrow.json.ParseOptions(explicit_schema=fields, unexpected_field_behavior="ignore")
    options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(content) + 1)
    try:
        content.decode()
        table = pyarrow.json.read_json(pa.BufferReader(content), options, of)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return None
    # It takes two objects on a line, or one on two, for rows as well.
    return table if table.num_rows == len(lines) else None


def _one_by_one(content: bytes) -> tuple[list[dict[str, Any]], list[Damage]]:
    """The object on each line that is not blank, an empty one where it is none."""
    objects: list[dict[str, Any]] = []
    damages: list[Damage] = []
    for line in content.split(b"\n"):
        if not line.strip():
            continue
        one, why = _object(line)
        if why:
            damages.append(Damage(why, len(objects), shown(line.rstrip(b"\r"))))
        objects.append(one)
    return objects, damages


def _object(line: bytes) -> tuple[dict[str, Any], str]:
    """(object, what is wrong with the line)."""
    try:
        one = json.loads(line.decode())
        if b"\\u" in line:  # half of a surrogate pair, perhaps
            json.dumps(one, ensure_ascii=False).encode()
    except UnicodeError:
        return {}, "the line is no UTF-8"
    except ValueError as error:
        return {}, f"the line is no JSON: {getattr(error, 'msg', 'a number of too many digits')}"
    except RecursionError:
        return {}, "the line is no JSON: nested too deep"
    return (one, "") if isinstance(one, dict) else ({}, "the line is no JSON object")


def _pieces(stream: io.BufferedReader) -> Iterator[tuple[bytes, Damage | None]]:
    """The file in whole lines, about BLOCK bytes at once, and what comes instead of more of them."""
    rest, offset, ended = stream.read(3), 0, False
    if rest == codecs.BOM_UTF8:
        rest, offset = b"", 3
    while not ended:
        read = stream.read(BLOCK)
        content, ended, lost = rest + read, len(read) < BLOCK, None
        end = content.rfind(b"\n") + 1
        if ended and (reason := streams.broken(stream)):
            lost = Damage(f"{reason}: the rest is lost", shown=shown(content[end:]), offset=offset + end)
        elif ended and end < len(content):
            content += b"\n"
            end = len(content)
        if not end and len(content) > CHUNK_BYTES:
            raise OSError(f"a line of more than {CHUNK_BYTES:,} bytes")
        if end or lost:
            yield content[:end], lost
        rest, offset = content[end:], offset + end
