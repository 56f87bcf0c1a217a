"""Raw data as CSV: what is a row, on which line it is, and what damage costs."""

import gzip
import tempfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.pipeline.reading import csv_rows, rows, source, written
from tfloom.feature_specs.errors import DataError
from tfloom.pipeline.formats.csv import places
from tfloom.pipeline.sources import chunks, schema

FIELDS = "another number of fields than the header"
UNCLOSED = "a quote is not closed"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('a,b\n"x, y",1\n', [("x, y", "1")]),
        ('a,b\n"x\ny",1\n', [("x\ny", "1")]),
        ('a,b\n"x ""y""",1\n', [('x "y"', "1")]),
        ("a,b\r\nx,1\r\n", [("x", "1")]),
        ("a,b\nx,1", [("x", "1")]),
        ("a,b\n\nx,1\n\n\n", [("x", "1")]),
        ("\n\na,b\nx,1\n", [("x", "1")]),
        ("\ufeffa,b\nx,1\n", [("x", "1")]),
        (" a ,\tb\n x , 1\n", [("x", "1")]),
        ('a,b\n"",  \n', [(None, None)]),
        ("a,b\nNULL,NaN\n", [("NULL", "NaN")]),
        ("a,b\n007,1.50\n", [("007", "1.50")]),
        ("a,b\nÜçé,値\n", [("Üçé", "値")]),
        ("a,b\n", []),
    ],
)
def test_as_it_is_written_in_the_wild(content, expected, tmp_path):
    assert csv_rows(tmp_path, content) == [dict(zip("ab", row, strict=True)) for row in expected]


def test_a_field_may_be_long(tmp_path):
    one = source(written(tmp_path / "a.csv", f"a,b\n{'x' * 200_000},1\n"))
    assert [len(row["a"]) for row in rows(one)] == [200_000]
    assert places(one.path, {0}) == ({0: 2}, {})


def test_lines_of_a_compressed_file(tmp_path):
    one = source(written(tmp_path / "a.csv", gzip.compress(b"a,b\nx,1\n\ny,2\n")))
    assert rows(one) == [{"a": "x", "b": "1"}, {"a": "y", "b": "2"}]
    assert places(one.path, {0, 1}) == ({0: 2, 1: 4}, {})


@pytest.mark.parametrize("cut", [1_000, 20_000])
def test_a_gzip_that_is_cut_off(cut, tmp_path):
    text = "a,b\n" + "".join(f"{i},{i**7}\n" for i in range(5_000))
    one = source(written(tmp_path / "a.csv.gz", gzip.compress(text.encode())[:-cut]))
    found = list(chunks(one, at_most=2_000))
    read = [(int(row["a"]), int(row["b"])) for chunk in found for row in chunk.rows.to_pylist()]
    assert 500 < len(read) < 5_000
    assert read == [(i, i**7) for i in range(len(read))]  # no number of which a part is lost
    (damage,) = [damage for chunk in found for damage in chunk.damages]
    assert (damage.row, damage.record, damage.reason) == (None, None, "the gzip stream is cut off: the rest is lost")
    assert text[: damage.offset] == "a,b\n" + "".join(f"{i},{i**7}\n" for i in range(len(read)))
    assert text[damage.offset :].startswith(damage.shown)
    assert places(one.path, {len(read) - 1}) == ({len(read) - 1: len(read) + 1}, {})


def test_a_gzip_that_is_cut_off_amid_a_row_of_several_lines(tmp_path):
    stream = zlib.compressobj(wbits=31)
    content = stream.compress(b'a,b\n1,"x\ny"\n2,"z\n3,4\n5,') + stream.flush(zlib.Z_SYNC_FLUSH)
    (chunk,) = chunks(source(written(tmp_path / "a.csv.gz", content)))
    assert chunk.rows.to_pylist() == [{"a": "1", "b": "x\ny"}]
    (damage,) = chunk.damages
    assert (damage.offset, damage.shown) == (12, '2,"z\n3,4\n5,')


def test_a_gzip_that_is_cut_off_before_a_row(tmp_path):
    path = written(tmp_path / "a.csv.gz", gzip.compress(b"a,b\n1,2\n")[:11])
    with pytest.raises(DataError, match="received: the gzip stream is cut off: the rest is lost"):
        schema(source(path))


def test_a_name_in_the_header_may_be_quoted(tmp_path):
    assert csv_rows(tmp_path, '"a\nb","c,d"\n1,2\n') == [{"a\nb": "1", "c,d": "2"}]
    assert csv_rows(tmp_path, '"a\nb","c,d"\n1,2\n', columns=["c,d"]) == [{"c,d": "2"}]


def test_chunks_do_not_depend_on_the_blocks_they_are_read_in(tmp_path, monkeypatch):
    path = written(tmp_path / "a.csv", "n,text\n" + "".join(f'{i},"{"x" * (i % 7)}\n"\n' for i in range(300)))
    whole = [(c.first_row, c.rows.to_pylist()) for c in chunks(source(path), at_most=70)]
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", 64)
    assert [(c.first_row, c.rows.to_pylist()) for c in chunks(source(path), at_most=70)] == whole
    assert [first for first, _ in whole] == [0, 70, 140, 210, 280]


# -- malformed lines ----------------------------------------------------------------------------------------------

MALFORMED = """a,b
"x
y",1

3
z,2
7,8,9
"""


def test_a_line_with_another_number_of_fields_is_put_aside(tmp_path):
    one = source(written(tmp_path / "a.csv", MALFORMED))
    (chunk,) = chunks(one)
    assert chunk.rows.to_pylist() == [{"a": "x\ny", "b": "1"}, {"a": "z", "b": "2"}]
    assert [(one.record, one.shown) for one in chunk.damages] == [(3, "3"), (5, "7,8,9")]
    assert {(one.reason, one.row) for one in chunk.damages} == {(FIELDS, None)}
    assert places(one.path, {0, 1}, {3, 5}) == ({0: 2, 1: 6}, {3: 5, 5: 7})


@pytest.mark.parametrize("size", [16, 1 << 20])
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", list(range(2, 11))),
        ("a,b\n1,2\n" + "\n" * 60 + "3,4\n5\n" + "\n" * 60, [4]),
        ("a,b\n1,2\n3,4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n", list(range(4, 13))),
        ("a,b\n1,2\n3\n4,5\n6,7\n8,9\n0\n", [3, 7]),
    ],
    ids=["nothing else", "amid blank lines", "last", "between"],
)
def test_no_malformed_line_is_lost(content, expected, size, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", size)
    found = list(chunks(source(written(tmp_path / "a.csv", content)), ["b"], at_most=2))
    assert [one.record for chunk in found for one in chunk.damages] == expected
    assert [chunk.number for chunk in found] == list(range(len(found)))
    assert {tuple(chunk.rows.schema.names) for chunk in found} == {("b",)}


RECORDS = st.lists(st.one_of(
    st.tuples(st.text('ab,"\n', min_size=1, max_size=5), st.text("xy \n", max_size=3)),  # a row
    st.sampled_from([("",), ("lone",), ("1", "2", "3")]),  # a blank line, malformed lines
), max_size=12)  # fmt: skip


@given(RECORDS, st.sampled_from(["\n", "\r\n"]), st.integers(40, 80))
def test_rows_and_lines_of_any_csv(records, end, block):
    expected, lines, malformed, text = [], {}, [], f"a,b{end}"
    for record in records:
        line = text.count("\n") + 1
        if len(record) == 2:
            lines[len(expected)] = line
            expected.append(tuple(value.strip() or None for value in record))
            text += ",".join('"' + value.replace('"', '""') + '"' for value in record) + end
        else:
            malformed += [line] if record != ("",) else []
            text += ",".join(record) + end
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr("tfloom.pipeline.formats.csv.BLOCK", block)
        one = source(written(Path(folder) / "a.csv", text))
        found = list(chunks(one, at_most=3))
        read = [tuple(row.values()) for chunk in found for row in chunk.rows.to_pylist()]
        bad = [one.record for chunk in found for one in chunk.damages]
        assert read == expected
        assert places(one.path, range(len(read)), bad) == (lines, dict(zip(bad, malformed, strict=True)))


# -- quotes that are not closed -----------------------------------------------------------------------------------


@pytest.mark.parametrize("block", [40, 1 << 20])
@pytest.mark.parametrize(
    ("lines", "read", "damaged"),
    [
        # A quote that nothing closes costs its own line and none that follow.
        (['1,"x', "2,y", "3,z"], ["2y", "3z"], {2: UNCLOSED}),
        (["1,x", '2,"y'], ["1x"], {3: UNCLOSED}),
        (["1,x", '"2,y', "3,z"], ["1x", "3z"], {3: UNCLOSED}),
        # So does one that the next one seems to close.
        (['1,"x', '2,"y"', "3,z"], ["2y", "3z"], {2: UNCLOSED}),
        (['1,"x,0', '2,"y"', '3,"z"'], ["2y", "3z"], {2: UNCLOSED}),
        # What stands in quotes may be of several lines, damage before it or not.
        (['1,"x', '2,"y', 'and more"', "3,z"], ["2y\nand more", "3z"], {2: UNCLOSED}),
        (['1,"x', 'and more"', '2,"y', "3,z"], ["1x\nand more", "3z"], {4: UNCLOSED}),
        # A quote amid a text is one, and so is what is doubled.
        (['1,5" disk', "2,y"], ['15" disk', "2y"], {}),
        (['1,"5"" disk"', '2,"""y"""'], ['15" disk', '2"y"'], {}),
        (['1,"x"y', "2,z"], ["1xy", "2z"], {}),
        (['1,"x"",', "2,y", "3"], ["2y"], {2: UNCLOSED, 4: FIELDS}),
    ],
)
def test_a_quote_that_is_not_closed(lines, read, damaged, block, tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", block)
    one = source(written(tmp_path / "a.csv", "\n".join(["a,b", *lines, ""])))
    found = list(chunks(one, at_most=2))
    assert ["".join(row.values()) for chunk in found for row in chunk.rows.to_pylist()] == read
    told = [damage for chunk in found for damage in chunk.damages]
    of_rows, of_records = places(one.path, range(len(read)), {damage.record for damage in told})
    assert {of_records[damage.record]: damage.reason for damage in told} == damaged
    # The line of a row is the one on which its first field stands.
    assert [lines[line - 2].strip('"')[0] for line in of_rows.values()] == [row[0] for row in read]
    # Though the column with the quote is not read.
    assert ["".join(row.values()) for row in rows(one, columns=["a"])] == [row[0] for row in read]


def test_many_rows_behind_a_quote_that_is_not_closed(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", 1_000)
    lines = [f'{i},"text {i}"' if i % 3 else f"{i},text {i}" for i in range(2_000)]
    lines[500] = '500,"text'
    lines[1_999] = '1999,"text'
    one = source(written(tmp_path / "a.csv", "\n".join(["a,b", *lines])))
    assert [int(row["a"]) for row in rows(one)] == [i for i in range(2_000) if i not in (500, 1_999)]
    assert [damage.shown for chunk in chunks(one) for damage in chunk.damages] == ['500,"text', '1999,"text']


PARTS = ["a", ",", '"', "\n", "\r\n", "b,c\n", '"x",1\n', '"x\ny",2\n', "\0"]


@given(st.lists(st.sampled_from(PARTS), max_size=25))
def test_rows_and_records_do_not_depend_on_how_a_file_is_read(parts):
    with tempfile.TemporaryDirectory() as folder:
        one = source(written(Path(folder) / "a.csv", "a,b\n" + "".join(parts)))
        whole = read(one)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("tfloom.pipeline.formats.csv._whole", lambda content, ended: None)
            assert read(one) == whole  # record by record as Arrow has it
            if '"' not in parts and max(map(len, "".join(parts).split("\n"))) < 20:
                patch.undo()
                patch.setattr("tfloom.pipeline.formats.csv.BLOCK", 50)
                assert read(one) == whole


def read(one):
    found = list(chunks(one))
    told = [damage for chunk in found for damage in chunk.damages]
    return (
        [tuple(row.values()) for chunk in found for row in chunk.rows.to_pylist()],
        sorted((damage.record or 0, damage.reason, damage.shown) for damage in told),
        places(one.path, range(100), {damage.record for damage in told} - {None}),
    )


def test_memory_holds_no_more_damage_than_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", 100)
    one = source(written(tmp_path / "a.csv", "a,b\n" + "x\n" * 1_000 + "1,2\n" + "y\n" * 10))
    found = list(chunks(one, at_most=100))
    assert max(len(chunk.damages) for chunk in found) < 200
    assert [damage.record for chunk in found for damage in chunk.damages] == [*range(2, 1002), *range(1003, 1013)]
    assert [row for chunk in found for row in chunk.rows.to_pylist()] == [{"a": "1", "b": "2"}]


# -- bytes --------------------------------------------------------------------------------------------------------


def test_a_text_that_is_no_utf8_damages_its_row_where_it_is_read(tmp_path):
    content = "a,b\nMüller,1\nMeier,2\nÖz,3\n".encode("latin-1") + "Öz,4\n".encode()
    one = source(written(tmp_path / "a.csv", content))
    (chunk,) = chunks(one)
    assert [tuple(row.values()) for row in chunk.rows.to_pylist()] == [
        (r"M\xfcller", "1"), ("Meier", "2"), (r"\xd6z", "3"), ("Öz", "4")
    ]  # fmt: skip
    assert [(damage.row, damage.column, damage.reason) for damage in chunk.damages] == [
        (0, "a", "a is no UTF-8"), (2, "a", "a is no UTF-8")
    ]  # fmt: skip
    assert chunk.sound.to_pylist() == [{"a": "Meier", "b": "2"}, {"a": "Öz", "b": "4"}]
    (chunk,) = chunks(one, ["b"])
    assert not chunk.damages
    assert places(one.path, {0, 3}) == ({0: 2, 3: 5}, {})


def test_damage_keeps_its_place_in_every_chunk(tmp_path):
    content = b"a,b\n" + b"".join(b"\xff,%d\n" % i if i % 5 == 0 else b"x,%d\n" % i for i in range(20))
    found = list(chunks(source(written(tmp_path / "a.csv", content)), at_most=3))
    assert [chunk.first_row + one.row for chunk in found for one in chunk.damages] == [0, 5, 10, 15]
    assert [int(row["b"]) for chunk in found for row in chunk.sound.to_pylist()] == [i for i in range(20) if i % 5]


@pytest.mark.parametrize("bad", [b"\xff\n", b"1,2,\xff\n", b'1,"\xff\n'])
def test_a_damaged_line_that_is_no_utf8(bad, tmp_path):
    one = source(written(tmp_path / "a.csv", b"a,b\n1,x\n" + bad + b"2,y\n"))
    (chunk,) = chunks(one)
    assert chunk.rows.to_pylist() == [{"a": "1", "b": "x"}, {"a": "2", "b": "y"}]
    assert [damage.shown for damage in chunk.damages] == [bad.decode(errors="backslashreplace").strip()]


def test_nul_bytes(tmp_path):
    one = source(written(tmp_path / "a.csv", b"a,b\nx\0,1\ny,2\n\0\0\0\0\n" + b"z,3\n\0\0\0\0"))
    (chunk,) = chunks(one)
    assert [row["b"] for row in chunk.rows.to_pylist()] == ["1", "2", "3"]
    assert [(damage.row, damage.record, damage.reason, damage.shown) for damage in chunk.damages] == [
        (None, 4, FIELDS, "\0" * 4), (None, 6, FIELDS, "\0" * 4), (0, None, "a holds a NUL byte", None)
    ]  # fmt: skip
    assert places(one.path, {0, 1, 2}, {4, 6}) == ({0: 2, 1: 3, 2: 5}, {4: 4, 6: 6})


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (b"", "it is empty, without a header"),
        (b"\n\n", "it is empty, without a header"),
        ("a,b\n1,2\n".encode("utf-16"), "it is UTF-16, and not UTF-8"),
        ("a,ü\n1,2\n".encode("latin-1"), "the header is no UTF-8: a,\\xfc\n"),
        (b'a,"b\n1,2\n', 'a quote is not closed in the header: a,"b\n'),
    ],
)
def test_a_file_without_a_header(content, received, tmp_path):
    path = written(tmp_path / "a.csv", content)
    for read in (schema, lambda one: list(chunks(one))):
        with pytest.raises(DataError) as error:
            read(source(path))
        assert error.value.what == f"{path}: cannot be read"
        assert error.value.expected == "a CSV file with a header, Parquet, JSON lines, or TFRecord of tf.Example"
        assert error.value.received == received.strip()


def test_a_line_that_does_not_end(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", 1_000)
    path = written(tmp_path / "a.csv", "a,b\n1,2\n" + "x" * 3_000)
    with pytest.raises(DataError) as error:
        list(chunks(source(path)))
    assert error.value.received == "a line of more than 1,000 bytes"


def test_wide_rows_make_smaller_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.csv.BLOCK", 4_000)
    monkeypatch.setattr("tfloom.pipeline.formats.CHUNK_BYTES", 10_000)
    found = list(chunks(source(written(tmp_path / "a.csv", "a,b\n" + f"{'x' * 990},1\n" * 40))))
    assert all(8 < chunk.rows.num_rows < 16 for chunk in found[:-1])
    assert [chunk.first_row for chunk in found] == [sum(c.rows.num_rows for c in found[:i]) for i in range(len(found))]
    assert sum(chunk.rows.num_rows for chunk in found) == 40
