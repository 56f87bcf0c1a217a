"""Raw data as JSON lines: what is a row, of which types its columns are, and what damage costs."""

import gzip
import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.reading import rows, source
from tfloom.feature_specs.errors import DataError
from tfloom.pipeline.formats import jsonl
from tfloom.pipeline.sources import chunks, schema

WORDS, NUMBERS = ["x", "7", "ü", "2013-01-01"], [1, -3, 2**53]


def written(path, content):
    if isinstance(content, list):
        content = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def column(folder, values):
    """(type, values) of a column of these values, a line each."""
    one = source(written(folder / "a.jsonl", [{"x": value, "y": 1} for value in values]))
    return str(schema(one).field("x").type), [row["x"] for row in rows(one)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"a": 1}\n{"a": 2}\n'),
        ("a", ' \n{"a":1}\n\n  \n{ "a" : 2 }'),
        ("a.csv", '\ufeff{ "a":1}\r\n{"a":2}\r\n'),
        ("a.txt", '{}\n{"a": 1}\n{"a": 2}\n'),
    ],
)
def test_an_object_a_line_whatever_the_name(name, content, tmp_path):
    one = source(written(tmp_path / name, content))
    assert one.format == "jsonl"
    assert [row["a"] for row in rows(one) if row["a"]] == [1, 2]


@pytest.mark.parametrize(
    ("values", "kind", "read"),
    [
        (NUMBERS, "int64", None),
        ([1, 2.5], "double", None),
        ([True, False, None], "bool", None),
        (WORDS, "string", None),
        (["2013-01-01", "2013-01-02T03:04:05Z"], "string", None),  # a date is as it is written
        ([None, None], "string", None),
        ([2**63, 1], "double", [float(2**63), 1.0]),
        ([[1, 2], [], None], "list<item: int64>", None),
        ([["a"], [None, "b"]], "list<item: string>", None),
        ([[], []], "list<item: string>", None),
        # Of several types it is text, as CSV is.
        ([1, "x"], "string", ["1", "x"]),
        ([True, 2, None], "string", ["true", "2", None]),
        ([1.5, "ü", {"k": ["v"]}], "string", ["1.5", "ü", '{"k": ["v"]}']),
        # A list among values makes lists of one of the others.
        ([1, [2, 3], None], "list<item: int64>", [[1], [2, 3], None]),
        (["a", [2], [None]], "list<item: string>", [["a"], ["2"], [None]]),
        # What has parts is its JSON text.
        ([{"k": 1}, {"k": 2}], "string", ['{"k": 1}', '{"k": 2}']),
        ([[[1], [2]]], "list<item: string>", [["[1]", "[2]"]]),
    ],
)
def test_a_column_has_one_type(values, kind, read, tmp_path, monkeypatch):
    assert column(tmp_path, values) == (kind, values if read is None else read)
    jsonl._schema.cache_clear()
    monkeypatch.setattr("tfloom.pipeline.formats.jsonl.BLOCK", 10)  # a line or so at once
    assert column(tmp_path, values) == (kind, values if read is None else read)


def test_numbers_that_are_none(tmp_path):
    kind, (first, second, last) = column(tmp_path, [math.nan, 1.0, -math.inf])
    assert (kind, second, last) == ("double", 1.0, -math.inf)
    assert math.isnan(first)


def test_keys_that_come_and_go(tmp_path):
    one = source(written(tmp_path / "a", [{"a": 1}, {"b": "x", "a": 2}, {}, {"c": None}, '{"a": 1, "a": 3}']))
    assert schema(one).names == ["a", "b", "c"]
    assert [row["a"] for row in rows(one)] == [1, 2, None, None, 3]
    assert rows(one, columns=["c", "b"])[1] == {"c": None, "b": "x"}


def test_a_chunk_is_a_fixed_run_of_rows_that_knows_its_place(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.jsonl.BLOCK", 50)
    one = source(written(tmp_path / "a", [{"n": i, "t": "x" * (i % 40)} for i in range(100)]))
    found = list(chunks(one, at_most=30))
    assert [(chunk.number, chunk.first_row, chunk.rows.num_rows) for chunk in found] == [
        (0, 0, 30), (1, 30, 30), (2, 60, 30), (3, 90, 10)
    ]  # fmt: skip
    assert [row["n"] for row in rows(one)] == list(range(100))


# -- damage -------------------------------------------------------------------------------------------------------

BAD = {
    b"{": "the line is no JSON: Expecting property name enclosed in double quotes",
    b'{"a": 1': "the line is no JSON: Expecting ',' delimiter",
    b'{"a": 1}{"a": 2}': "the line is no JSON: Extra data",
    b'{"a": \0}': "the line is no JSON: Expecting value",
    b"\0\0\0": "the line is no JSON: Expecting value",
    b'{"a": "\xff"}': "the line is no UTF-8",
    b'{"a": "\\ud800"}': "the line is no UTF-8",
    b"[1, 2]": "the line is no JSON object",
    b"7": "the line is no JSON object",
    b"null": "the line is no JSON object",
    b'{"a": 1} null': "the line is no JSON: Extra data",
    b'{"a": ' + b"9" * 5_000 + b"}": "the line is no JSON: a number of too many digits",
    b'{"a": ' + b"[" * 100_000: "the line is no JSON: nested too deep",
}


@pytest.mark.parametrize("bad", BAD)
def test_a_damaged_line(bad, tmp_path):
    one = source(written(tmp_path / "a.jsonl", b'{"a": "x"}\n\n' + bad + b'\n{"a": "y"}\n' + bad))
    (chunk,) = chunks(one)
    assert chunk.rows.to_pylist() == [{"a": "x"}, {"a": None}, {"a": "y"}, {"a": None}]
    shown = bad.decode(errors="backslashreplace")[:1_000]
    assert [(damage.row, damage.reason, damage.shown) for damage in chunk.damages] == [
        (1, BAD[bad], shown), (3, BAD[bad], shown)
    ]  # fmt: skip
    assert chunk.sound.to_pylist() == [{"a": "x"}, {"a": "y"}]
    assert jsonl.places(one.path, {0, 1, 2, 3}) == ({0: 1, 1: 3, 2: 4, 3: 5}, {})


@given(st.lists(st.sampled_from([b'{"a": "x"}', b'{"a": 1, "b": [2]}', b"", b"  ", b'{"a"', b"{}", b"null", b"\xff"])),
       st.integers(1, 40))  # fmt: skip
def test_rows_do_not_depend_on_how_a_file_is_cut(lines, block):
    lines = [b'{"a": "first"}', *lines]
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfloom.pipeline.formats.jsonl.BLOCK", block)
        jsonl._schema.cache_clear()
        one = source(written(Path(folder) / "a.jsonl", b"\n".join(lines)))
        found = list(chunks(one, at_most=3))
        assert [damage.row + chunk.first_row for chunk in found for damage in chunk.damages] == [
            i for i, (_, line) in enumerate(numbered) if line in (b'{"a"', b"null", b"\xff")
        ]
        read = [row["a"] for chunk in found for row in chunk.rows.to_pylist()]
        expected = {b'{"a": "x"}': "x", b'{"a": 1, "b": [2]}': "1", b'{"a": "first"}': "first"}
        assert read == [expected.get(line) for _, line in numbered]
        assert jsonl.places(one.path, range(len(numbered)))[0] == dict(enumerate(number for number, _ in numbered))


@pytest.mark.parametrize(
    ("content", "received"),
    [
        ('[{"a": 1},\n {"a": 2}]\n',
         """none of its 2 lines is a JSON object that has a key; it begins with '[{"a": 1},\\n {"a": 2}]\\n'"""),
        ("a,b\n1,2\n", "none of its 2 lines is a JSON object that has a key; it begins with 'a,b\\n1,2\\n'"),
        ("{}\n{}\n", "none of its 2 lines is a JSON object that has a key; it begins with '{}\\n{}\\n'"),
    ],
)  # fmt: skip
def test_a_file_of_no_objects(content, received, tmp_path):
    path = written(tmp_path / "a.json", content)
    with pytest.raises(DataError) as error:
        schema(source(path))
    assert (error.value.what, error.value.received) == (f"{path}: cannot be read", received)


def test_a_line_that_does_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.jsonl.BLOCK", 100)
    monkeypatch.setattr("tfloom.pipeline.formats.jsonl.CHUNK_BYTES", 1_000)
    path = written(tmp_path / "a.jsonl", '{"a": "' + "x" * 3_000)
    with pytest.raises(DataError, match=r"received: a line of more than 1,000 bytes"):
        schema(source(path))


def test_an_empty_file_has_no_rows(tmp_path):
    one = source(written(tmp_path / "a.jsonl", b""))
    assert (one.format, list(schema(one)), list(chunks(one, ["a"]))) == ("jsonl", [], [])


def test_a_gzip_that_is_cut_off(tmp_path):
    text = "".join(f'{{"n": {i}, "m": {i**4}}}\n' for i in range(5_000))
    one = source(written(tmp_path / "a.jsonl.gz", gzip.compress(text.encode())[:-1_000]))
    found = list(chunks(one, at_most=2_000))
    count = sum(chunk.rows.num_rows for chunk in found)
    assert 500 < count < 5_000
    assert rows(one) == [{"n": i, "m": i**4} for i in range(count)]
    (damage,) = [damage for chunk in found for damage in chunk.damages]
    assert (damage.row, damage.reason) == (None, "the gzip stream is cut off: the rest is lost")
    assert text[: damage.offset].count("\n") == count
    assert text[damage.offset :].startswith(damage.shown)
