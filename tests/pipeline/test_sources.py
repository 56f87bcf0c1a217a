"""Raw data, wherever it lies, as the same chunks."""

import gzip
import tracemalloc

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pipeline.reading import csv_rows, rows, source, written
from tests.pipeline.test_tfrecord import example
from tests.pipeline.test_tfrecord import written as written_records
from tfloom.feature_specs.errors import DataError
from tfloom.pipeline.sources import chunks, find, schema

TABLE = pa.table({"name": ["ann", "bob", None], "age": [31, 42, 53]})


@pytest.mark.parametrize(
    "data",
    [
        TABLE,
        TABLE.to_batches()[0],
        [TABLE.slice(0, 2).to_batches()[0], TABLE.slice(2).to_batches()[0]],
        TABLE.to_pandas(),
        pl.from_arrow(TABLE),
    ],
    ids=["Table", "RecordBatch", "RecordBatches", "pandas", "polars"],
)
def test_data_in_memory(data, tmp_path):
    (one,) = find({None: data}, tmp_path)
    assert rows(one) == TABLE.to_pylist()
    assert schema(one).types == [pa.string(), pa.int64()]
    assert (one.label, one.place, one.format) == ("memory.parquet", "data in memory", "parquet")


def test_csv_is_text_and_parquet_as_typed(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.parquet")
    assert rows(source(tmp_path / "a.parquet")) == TABLE.to_pylist()
    assert csv_rows(tmp_path, "name,age\nann,31\nbob,42\n,53\n") == [
        {"name": "ann", "age": "31"}, {"name": "bob", "age": "42"}, {"name": None, "age": "53"}
    ]  # fmt: skip
    assert [str(field.type) for field in schema(source(tmp_path / "a.csv"))] == ["string", "string"]


def test_parquet_is_told_by_its_content(tmp_path):
    pq.write_table(TABLE, tmp_path / "a.csv")
    assert rows(source(tmp_path / "a.csv")) == TABLE.to_pylist()


def test_a_damaged_file_is_told_by_its_name(tmp_path):
    for name, content, format_ in (
        ("a.tfrecord", b"no length", "tfrecord"),
        ("a.tfrecord.gz", gzip.compress(b"no length"), "tfrecord"),
        ("a.JSONL.zst", b"no object", "jsonl"),
        ("a.parquet", b"", "parquet"),
        ("a.jsonl.csv", b"", "csv"),
        ("a", b"", "csv"),
    ):
        assert source(written(tmp_path / name, content)).format == format_


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_only_the_columns_that_are_wanted(suffix, tmp_path):
    path = tmp_path / f"a.{suffix}"
    TABLE.to_pandas().to_csv(path, index=False) if suffix == "csv" else pq.write_table(TABLE, path)
    assert [list(row) for row in rows(source(path), columns=["age"])] == [["age"]] * 3


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_chunk_is_a_fixed_run_of_rows_that_knows_its_place(suffix, tmp_path):
    table = pd.DataFrame({"n": range(10)})
    path = tmp_path / f"a.{suffix}"
    table.to_csv(path, index=False) if suffix == "csv" else table.to_parquet(path, row_group_size=3)
    found = list(chunks(source(path), at_most=4))
    assert [(one.number, one.first_row, one.rows.num_rows) for one in found] == [
        (0, 0, 4),
        (1, 4, 4),
        (2, 8, 2),
    ]
    assert [int(row["n"]) for chunk in found for row in chunk.rows.to_pylist()] == list(range(10))


def test_a_chunk_of_parquet_is_as_large_as_its_rows_are(tmp_path, monkeypatch):
    """Not as its file, which holds a repeated value once."""
    monkeypatch.setattr("tfloom.pipeline.formats.parquet.CHUNK_BYTES", 50_000)
    pq.write_table(pa.table({"s": ["x" * 1_000] * 1_000}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 10_000
    (source,) = find({None: tmp_path / "a.parquet"}, tmp_path / "memory")
    assert {chunk.rows.num_rows for chunk in chunks(source)} <= {49, 1_000 % 49}


def test_a_file_of_parquet_is_not_kept_in_memory(tmp_path):
    """Not what is read ahead of it either."""
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(tmp_path / "a.parquet", pa.schema({"x": pa.float64()})) as writer:
        for _ in range(40):
            writer.write_table(pa.table({"x": rng.random(50_000)}))
    (source,) = find({None: tmp_path / "a.parquet"}, tmp_path / "memory")
    before = pa.total_allocated_bytes()
    most = max(pa.total_allocated_bytes() - before for _ in chunks(source))
    assert (tmp_path / "a.parquet").stat().st_size > 16_000_000
    assert most < 4_000_000


def test_wide_parquet_rows_make_smaller_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.formats.parquet.CHUNK_BYTES", 10_000)
    # 20 rows of 1,000 bytes and some: 9 of them are below 10,000 bytes, 10 are not.
    pq.write_table(pa.table({"b": [bytes([i]) * 1000 for i in range(20)]}), tmp_path / "a", compression="none",
                   use_dictionary=False)  # fmt: skip
    found = list(chunks(source(tmp_path / "a")))
    assert [(chunk.first_row, chunk.rows.num_rows) for chunk in found] == [(0, 9), (9, 9), (18, 2)]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_a_text_of_parquet_that_is_no_utf8_damages_its_row(kind, tmp_path):
    texts = pa.array([b"a", None, b"M\xfcller", "ü".encode()], pa.binary()).cast(pa.string(), safe=False)
    values = texts.dictionary_encode() if pa.types.is_dictionary(kind) else texts.cast(kind)
    pq.write_table(pa.table({"c": values, "n": [1, 2, 3, 4]}), tmp_path / "a.parquet")
    (chunk,) = chunks(source(tmp_path / "a.parquet"))
    assert chunk.rows.column("c").to_pylist() == ["a", None, r"M\xfcller", "ü"]
    assert [(one.row, one.column, one.reason) for one in chunk.damages] == [(2, "c", "c is no UTF-8")]
    assert chunk.sound.column("n").to_pylist() == [1, 2, 4]


def test_types_that_mean_the_same_are_read_as_one(tmp_path):
    same = {
        pa.string(): [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())],
        pa.binary(): [pa.large_binary(), pa.binary(1)],
        pa.list_(pa.string()): [pa.large_list(pa.large_string()), pa.list_(pa.string(), 1)],
    }
    values = {pa.string(): ["x"], pa.binary(): [b"x"], pa.list_(pa.string()): [["x"]]}
    for kind, others in same.items():
        for other in others:
            (one,) = find({None: pa.table({"c": pa.array(values[kind], other)})}, tmp_path)
            (chunk,) = chunks(one)
            assert chunk.rows.column("c").equals(pa.array(values[kind], kind))
            assert schema(one).field("c").type == kind


@pytest.mark.parametrize("compress", [bytes, gzip.compress])
@pytest.mark.parametrize("suffix", ["csv", "jsonl", "tfrecord"])
def test_memory_holds_a_few_blocks_however_long_a_file_is(suffix, compress, tmp_path, monkeypatch):
    for setting in ("csv.BLOCK", "jsonl.BLOCK", "tfrecord._RUN_BYTES"):
        monkeypatch.setattr(f"tfloom.pipeline.formats.{setting}", 16 << 10)
    rng = np.random.default_rng(1)
    texts = [rng.bytes(45).hex() for _ in range(40_000)]  # 4 MB
    if suffix == "csv":
        content = ("n,text\n" + "".join(f'1,"{text}"\n' for text in texts)).encode()
    elif suffix == "jsonl":
        content = "".join(f'{{"n": 1, "text": "{text}"}}\n' for text in texts).encode()
    else:
        records = [example({"n": [1], "text": [text.encode()]}) for text in texts]
        content = written_records(tmp_path / "records", records).read_bytes()
    one = source(written(tmp_path / f"a.{suffix}", compress(content)))
    schema(one)  # imports what is needed
    before, held, read = pa.total_allocated_bytes(), 0, 0
    tracemalloc.start()
    for chunk in chunks(one, at_most=500):
        held = max(held, pa.total_allocated_bytes() - before)
        read += chunk.rows.num_rows
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert read == len(texts)
    assert max(held, peak) < 1_500_000


# -- several sources ----------------------------------------------------------------------------------------------


def labels(found):
    return [(one.index, one.label, one.split) for one in found]


def test_globs_lists_and_named_splits(tmp_path):
    for name in ("b.csv", "a.csv", "c.txt"):
        written(tmp_path / name, "x\n1\n")
    found = find({None: str(tmp_path / "*.csv")}, tmp_path / "staging")
    assert labels(found) == [(0, "a.csv", None), (1, "b.csv", None)]
    found = find({"train": [tmp_path / "b.csv", str(tmp_path / "c.*")], "eval": tmp_path / "a.csv"}, tmp_path / "s")
    assert labels(found) == [(0, "b.csv", "train"), (1, "c.txt", "train"), (2, "a.csv", "eval")]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["train"], ["train+eval"]),
        (["train", "test"], ["train+eval", "test"]),
        (["train", "eval"], ["train", "eval"]),
        (["test"], ["test"]),
    ],
)
def test_rows_are_held_out_of_train_where_no_eval_is_named(names, splits, tmp_path):
    found = find(dict.fromkeys(names, TABLE), tmp_path)
    assert [(one.label, one.split) for one in found] == [
        (f"{name}.parquet", split) for name, split in zip(names, splits, strict=True)
    ]


def test_a_label_is_the_shortest_end_of_a_path_that_no_other_has(tmp_path):
    for name in ("2024/a.csv", "2025/a.csv", "2025/b.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        written(tmp_path / name, "x\n1\n")
    files = [tmp_path / "2024" / "a.csv", str(tmp_path / "2025/*.csv")]
    assert [one.label for one in find({None: files}, tmp_path)] == ["2024/a.csv", "2025/a.csv", "b.csv"]


def test_a_source_keeps_the_label_it_got_before(tmp_path):
    (tmp_path / "2025").mkdir()
    path = written(tmp_path / "2025" / "a.csv", "x\n1\n")
    known = {("a.csv", "2025/a.csv"): "2025/a.csv", ("025/a.csv", "b.csv"): "a.csv", (): "a.csv"}
    for before, label in known.items():
        assert [one.label for one in find({None: path}, tmp_path, before)] == [label]


def test_of_columns_those_that_a_source_has(tmp_path):
    one = source(written(tmp_path / "a.csv", "a,b\n1,2\n"))
    assert rows(one, columns=["b", "c"]) == [{"b": "2"}]
    assert rows(one, columns=["c"]) == [{"a": "1", "b": "2"}]  # rows without a column could not be counted


# -- errors -------------------------------------------------------------------------------------------------------


def parts(error):
    return error.value.what, error.value.expected, error.value.received


def test_a_file_that_is_absent(tmp_path):
    with pytest.raises(DataError) as error:
        find({None: tmp_path / "none.csv"}, tmp_path)
    expected = "a CSV, Parquet, JSON lines or TFRecord file, or a glob of them"
    assert parts(error) == (f"{tmp_path}/none.csv: there is no such file", expected, "nothing")
    with pytest.raises(DataError) as error:
        find({None: str(tmp_path / "*.csv")}, tmp_path)
    assert parts(error) == (f"{tmp_path}/*.csv: no file matches", expected, "nothing")
    with pytest.raises(DataError) as error:
        find({None: tmp_path}, tmp_path)
    assert parts(error) == (f"{tmp_path}: there is no such file", expected, "a folder")
    (tmp_path / "b").mkdir()
    written(tmp_path / "a", "x\n1\n")
    with pytest.raises(DataError) as error:
        find({None: str(tmp_path / "*")}, tmp_path)
    assert parts(error) == (f"{tmp_path}/b: there is no such file", expected, "a folder")


def test_a_file_that_cannot_be_opened(tmp_path, monkeypatch):
    def refused(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("tfloom.pipeline.formats.parquet.is_one", refused)
    with pytest.raises(DataError) as error:
        source(written(tmp_path / "a.csv", "x\n1\n"))
    assert error.value.what == f"{tmp_path}/a.csv: cannot be read"
    assert "Permission denied" in error.value.received


@pytest.mark.parametrize("again", ["a.csv", "*.csv", "../{}/a.csv"])
def test_a_file_that_is_named_twice(again, tmp_path):
    path = written(tmp_path / "a.csv", "x\n1\n")
    with pytest.raises(DataError, match=r"a\.csv: is named 2 times\n  expected: each file once, in one split"):
        find({"train": path, "test": str(tmp_path / again.format(tmp_path.name))}, tmp_path / "staging")


@pytest.mark.parametrize("data", [{"a": [1]}, [], [1], 7, None])
def test_data_of_no_known_kind(data, tmp_path):
    with pytest.raises(DataError, match="data: is of no kind that can be read") as error:
        find({None: data}, tmp_path)
    assert error.value.received == type(data).__name__


def test_record_batches_that_differ(tmp_path):
    with pytest.raises(DataError, match="the RecordBatches differ in their columns\n  expected: one schema"):
        find({None: [pa.record_batch({"v": ["a"]}), pa.record_batch({"w": ["a"]})]}, tmp_path)


def test_a_frame_whose_column_mixes_values(tmp_path):
    with pytest.raises(DataError, match="a column of the frame mixes values"):
        find({None: pd.DataFrame({"v": ["a", 1]})}, tmp_path)


def truncated(folder):
    pq.write_table(TABLE, folder / "whole")
    return (folder / "whole").read_bytes()[:-20]


@pytest.mark.parametrize(
    ("content", "received"),
    [
        (lambda _: b"", "it is empty, without a header"),
        (truncated, "Parquet"),
        (lambda _: b"PAR1 and nothing that is Parquet", "Parquet"),
    ],
    ids=["empty", "truncated Parquet", "no Parquet"],
)
def test_a_file_that_cannot_be_read_is_named(content, received, tmp_path):
    path = written(tmp_path / "broken", content(tmp_path))
    with pytest.raises(DataError) as error:
        schema(source(path))
    assert parts(error)[:2] == (
        f"{path}: cannot be read",
        "a CSV file with a header, Parquet, JSON lines, or TFRecord of tf.Example",
    )
    assert received in error.value.received
    with pytest.raises(DataError, match="cannot be read"):
        list(chunks(source(path)))


def test_two_columns_of_one_name(tmp_path):
    path = written(tmp_path / "a.csv", "a,b, a\n1,2,3\n")
    with pytest.raises(DataError) as error:
        schema(source(path))
    assert parts(error) == (f"{path}: has two columns 'a'", "a name of its own for each column", "a, b, a")
