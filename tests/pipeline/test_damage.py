"""Damaged data, of every format at once: both engines keep, count and tell the same of it."""

import gzip
import json
import zlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tensorflow as tf

from tests.pipeline.test_tfrecord import example
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.preprocess import preprocess
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.rows import opened, parsed, reasons

SPEC = FeatureSpec.model_validate({
    "columns": [
        {"name": "x", "kind": "numeric"},
        {"name": "word", "kind": "hashed", "buckets": 9},
        {"name": "later", "kind": "numeric", "missing": 0.5},
    ],
    "inputs": {"x": {"dtype": "float32"}, "later": {"dtype": "float32", "optional": True}},
    "labels": [{"name": "late", "above": 15, "missing": "drop"}],
    "where": "gone == 0",
    "split": {"by": "column", "source": "part"},
})  # fmt: skip
HEADER, GOOD = "x,word,late,gone,part,note\n", "1,a,10,0,train,\n"
LINE = {"x": 1, "word": "a", "late": 10, "gone": 0, "part": "train"}
RECORD = {"x": [1.0], "word": [b"a"], "late": [10], "gone": [0], "part": [b"train"]}
LENGTH = 16 + len(example(RECORD))
FIELDS, UNCLOSED = "another number of fields than the header", "a quote is not closed"
MISSING = "x is missing, and columns.x says nothing of missing values"

CUT_OFF = gzip.compress((HEADER + "".join(f"{i},{i**5},10,0,train,\n" for i in range(2_000))).encode())[:-2_000]
WHOLE = zlib.decompressobj(31).decompress(CUT_OFF).rpartition(b"\n")[0] + b"\n"


def jsonl(*lines):
    return b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)


def tfrecord(folder, *records, spoilt):
    """A file of which the byte at `spoilt` is another."""
    with tf.io.TFRecordWriter(str(folder / "records")) as writer:
        for record in records:
            writer.write(record if isinstance(record, bytes) else example(record))
    content = bytearray((folder / "records").read_bytes())
    content[spoilt] ^= 1
    return bytes(content)


def parquet(folder, columns):
    pq.write_table(pa.table(columns), folder / "table")
    return (folder / "table").read_bytes()


# Of each file what it holds, the account, and of each rejected row (row, line, offset, column, reason).
FILES = {
    "fields.csv": (
        HEADER + GOOD + "1,a,10,0,train\n" + GOOD + "1,a,10,0,train,,\n\n" + "1,a,10,1,train,\n",
        {"out": 2, "filtered": 1, "rejected": 2},
        [(None, 3, None, None, FIELDS), (None, 5, None, None, FIELDS)],
    ),
    "quotes.csv": (
        HEADER + '1,"a\n' + GOOD + '1,"b\nb",10,0,train,\n' + '1,a,10,0,train,"never closed\n' + GOOD,
        {"out": 3, "rejected": 2},
        [(None, 2, None, None, UNCLOSED), (None, 6, None, None, UNCLOSED)],
    ),
    "bytes.csv": (
        (HEADER + GOOD).encode() + b"1,M\xfcller,10,0,train,\n1,a,10,0,train,\xff\n1,a\0,10,1,train,\n\0\0\0\n",
        {"out": 2, "rejected": 3},
        [(1, 3, None, "word", "word is no UTF-8"), (3, 5, None, "word", "word holds a NUL byte"),
         (None, 6, None, None, FIELDS)],
    ),
    "types.csv": (
        HEADER + "much,a,10,0,train,\n1,a,late,0,train,\n,a,10,0,train,\n1,a,,0,train,\n",
        {"unlabelled": 1, "rejected": 3},
        [(0, 2, None, "x", "x: 'much' is no float32"), (2, 4, None, "x", MISSING),
         (1, 3, None, "late", "label late: 'late' is none of its values")],
    ),
    "cut_off.csv.gz": (
        CUT_OFF,
        {"out": WHOLE.count(b"\n") - 1, "rejected": 1},
        [(None, None, len(WHOLE), None, "the gzip stream is cut off: the rest is lost")],
    ),
    "header.csv": (HEADER, {}, []),
    "lines.jsonl": (
        jsonl(LINE, b"", b'{"x": 1', LINE | {"x": "much"}, LINE | {"x": "7"}, b"[1]", LINE | {"later": 2}),
        {"out": 3, "rejected": 3},
        [(1, 3, None, None, "the line is no JSON: Expecting ',' delimiter"),
         (2, 4, None, "x", "x: 'much' is no float32"), (4, 6, None, None, "the line is no JSON object")],
    ),
    "empty.jsonl": ("", {}, []),
    "other_types.parquet": (
        lambda folder: parquet(folder, {
            "later": ["2", None, "x"], "part": ["train"] * 3, "gone": [0.0, 0.0, 0.0], "late": ["10", "20", "30"],
            "word": [7, 8, 9], "x": ["1", "much", "3"], "more": [[1]] * 3,
        }),
        {"out": 1, "rejected": 2},
        [(1, None, None, "x", "x: 'much' is no float32"), (2, None, None, "later", "later: 'x' is no float32")],
    ),
    "crc.tfrecord": (
        lambda folder: tfrecord(folder, RECORD, RECORD, b"no example", RECORD, RECORD | {"x": []}, spoilt=LENGTH + 15),
        {"out": 2, "rejected": 3},
        [(1, None, LENGTH, None, "the checksum of the record is wrong"),
         (2, None, 2 * LENGTH, None, "the record is no tf.Example"), (4, None, 3 * LENGTH + 26, "x", MISSING)],
    ),
    "length.tfrecord.gz": (
        lambda folder: gzip.compress(tfrecord(folder, RECORD, RECORD, RECORD, spoilt=LENGTH)),
        {"out": 1, "rejected": 1},
        [(None, None, LENGTH, None,
          f"the length of the record is damaged: no other is found in the {2 * LENGTH} bytes from there on")],
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("damage")
    (folder / "data").mkdir()
    for name, (content, *_) in FILES.items():
        content = content(folder) if callable(content) else content
        (folder / "data" / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


@pytest.fixture(scope="module", params=[(), ("--runner=FnApiRunner",)], ids=["local", "beam"])
def output(request, folder):
    files = [folder / "data" / name for name in FILES]
    out = folder / ("beam" if request.param else "local")
    return preprocess(SPEC, {None: files}, out, max_rejected=0.9, beam_options=request.param)


def test_every_row_is_accounted_for(output):
    expected = {"out": 0, "filtered": 0, "unlabelled": 0, "rejected": 0}
    for _, account, told in FILES.values():
        assert len(told) == account.get("rejected", 0)
        expected = {name: n + account.get(name, 0) for name, n in expected.items()}
    assert output.report["rows"] == {"in": sum(expected.values())} | expected
    assert output.report["splits"]["train"] == expected["out"]
    told = {reason for _, _, told in FILES.values() for *_, reason in told}
    assert output.report["reasons"].keys() == told


@pytest.mark.parametrize("name", FILES)
def test_a_rejected_row_keeps_its_place_its_column_and_its_reason(name, output):
    index = list(FILES).index(name)
    lines = [
        json.loads(line)
        for path in sorted((output.path / "rejected").glob(f"{index:05d}-*"))
        for line in path.read_text().splitlines()
    ]
    told = []
    for one in lines:
        label, _, row = one["origin"].partition(":")
        assert label == name
        assert one.keys() == {"origin", "line", "offset", "column", "reason", "row"}
        told.append((int(row) if row else None, one["line"], one["offset"], one["column"], one["reason"]))
    assert sorted(told, key=str) == sorted(FILES[name][2], key=str)


def test_what_was_found_is_shown(output):
    shown = {}
    for path in sorted((output.path / "rejected").glob("*")):
        for line in path.read_text().splitlines():
            shown.setdefault(json.loads(line)["reason"], json.loads(line)["row"])
    assert shown[UNCLOSED] == '1,"a'
    assert shown["word is no UTF-8"]["word"] == r"M\xfcller"
    assert shown["the line is no JSON object"] == "[1]"
    assert shown["the record is no tf.Example"] == "no example"
    assert b"\n" + shown["the gzip stream is cut off: the rest is lost"].encode() not in WHOLE


def test_both_engines_write_the_same(folder, output):
    if output.path.name == "local":
        return
    local = folder / "local"
    for name in ("examples", "rejected"):
        files = sorted(path.name for path in (local / name).iterdir())
        assert files == sorted(path.name for path in (output.path / name).iterdir())
        assert [f for f in files if (local / name / f).read_bytes() != (output.path / name / f).read_bytes()] == []
    assert json.loads((local / "report.json").read_text()) == output.report


def test_too_much_damage_stops_the_job_and_what_is_lost_is_said(folder, tmp_path, caplog):
    files = [folder / "data" / "cut_off.csv.gz", folder / "data" / "lines.jsonl"]
    with pytest.raises(DataError) as error:
        preprocess(SPEC, {None: files}, tmp_path / "out", max_rejected=0.001)
    count = WHOLE.count(b"\n") - 1 + 1 + 6
    assert error.value.what.startswith(f"4 of {count} rows are rejected: 1 x ")
    assert error.value.received.startswith(f"{4 / count:.2%}; they lie with their reasons in {tmp_path}/out.rejected")
    assert f"{files[0]}: the gzip stream is cut off: the rest is lost" in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ["out.rejected"]


def test_a_damaged_row_keeps_its_place_where_rows_are_scored(folder):
    """As `tfloom predict` reads them: a row for each, and why there is nothing to tell of it."""
    with opened(folder / "data" / "lines.jsonl") as sources:
        spec = resolve(SPEC, sources)
        ((chunk, done),) = parsed(spec, sources, labelled=False)
    assert chunk.rows.num_rows == 6
    assert done.positions.tolist() == [0, 3, 5]
    assert reasons(chunk, done) == {row: reason for row, *_, reason in FILES["lines.jsonl"][2]}
