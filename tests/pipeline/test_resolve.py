"""What the spec leaves open of its inputs, answered by the data."""

import datetime
import decimal
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tfloom.feature_specs.errors import DataError, SpecError
from tfloom.feature_specs.inputs import Input
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline import sources
from tfloom.pipeline.resolve import resolve
from tfloom.pipeline.sources import find

KINDS = {
    "numeric": {"kind": "numeric", "missing": 0},
    "bucketized": {"kind": "bucketized", "boundaries": [0]},
    "vocabulary": {"kind": "vocabulary"},
    "identity": {"kind": "identity", "buckets": 9},
    "image": {"kind": "image", "height": 2, "width": 2, "channels": 1},
}


def resolved(kind, *data, **said):
    """The Input that a column `c` of this kind reads, after a look at `data`: columns, or texts of CSV files."""

    def run(folder):
        spec = FeatureSpec.model_validate(
            {"columns": [{"name": "c"} | KINDS[kind]], "inputs": {"c": said} if said else {}}
        )
        files = [folder / f"{i}" for i in range(len(data))]
        for file, values in zip(files, data, strict=True):
            if isinstance(values, str):
                file.write_text("c,d\n" + "".join(f"{value},x\n" for value in values.split(" ")))
            else:
                pq.write_table(pa.table({"c": values}), file)
        return resolve(spec, find({None: files}, folder / "staging")).inputs["c"]

    return run


def array(values, kind=None):
    return pa.array(values, kind)


@pytest.mark.parametrize(
    ("kind", "data", "dtype", "optional"),
    [
        ("numeric", "1 2", "float32", False),
        ("numeric", "1.5 2e3", "float32", False),
        ("numeric", "1.5 NA", "float32", True),
        ("numeric", array([1, 2]), "float32", False),
        ("numeric", array([1.5, None]), "float32", True),
        ("numeric", array([1.5, float("nan")]), "float32", True),
        ("numeric", array([True, False]), "float32", False),
        ("numeric", array([decimal.Decimal("1.50")]), "float32", False),
        ("numeric", array(["1.5", " 2"]), "float32", False),
        ("numeric", array([None, None]), "float32", True),
        ("numeric", array([None, None], pa.string()), "float32", True),
        ("bucketized", "1 2", "float32", False),
        ("vocabulary", "a b", "string", False),
        ("vocabulary", "1 2", "int64", False),
        ("vocabulary", "1 ", "int64", True),
        ("vocabulary", "1 a", "string", False),
        ("vocabulary", "2.0 3.0", "int64", False),
        ("vocabulary", "NA a", "string", False),
        ("vocabulary", array([2.0, None]), "int64", True),
        ("vocabulary", array([2, None]), "int64", True),
        ("vocabulary", array([False, True]), "int64", False),
        ("vocabulary", array(["a"]).dictionary_encode(), "string", False),
        ("vocabulary", array(["a"], pa.large_string()), "string", False),
        ("vocabulary", array(["a"], pa.string_view()), "string", False),
        ("vocabulary", array([datetime.date(2020, 1, 1)]), "string", False),
        ("vocabulary", array([None, None]), "string", True),
        ("identity", "1 2", "int64", False),
        ("identity", array([1.0, None]), "int64", True),
        ("image", array([b"\x89PNG", None]), "bytes", True),
        ("image", "a.png b.png", "bytes", False),
    ],
)
def test_dtype_and_optional_as_the_data_has_them(kind, data, dtype, optional, tmp_path):
    assert resolved(kind, data)(tmp_path) == Input(dtype=dtype, optional=optional)


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.large_string()), pa.list_(pa.string(), 2)])
def test_a_list_makes_an_input_multi_valued(kind, tmp_path):
    values = array([["a", "b"], ["c", "d"]], kind)
    assert resolved("vocabulary", values)(tmp_path) == Input(dtype="string", multi_valued=True, optional=False)
    said = {"dtype": "string", "optional": True}
    assert resolved("vocabulary", values, **said)(tmp_path) == Input(**said, multi_valued=True)


def test_what_the_spec_says_stays(tmp_path):
    assert resolved("vocabulary", "1 2", dtype="string")(tmp_path) == Input(dtype="string", optional=False)
    assert resolved("vocabulary", "1 2", optional=True)(tmp_path) == Input(dtype="int64", optional=True)
    na = Input(dtype="float32", na_values=("?",), optional=True)
    assert resolved("numeric", "1 ?", dtype="float32", na_values=["?"])(tmp_path) == na
    split = Input(dtype="string", multi_valued=True, delimiter="|", optional=False)
    assert resolved("vocabulary", "a|b c", delimiter="|")(tmp_path) == split


def test_numbers_of_a_row_as_one_text(tmp_path):
    split = Input(dtype="int64", multi_valued=True, delimiter="|", optional=False)
    assert resolved("identity", "1|2 3", delimiter="|")(tmp_path) == split


@pytest.mark.parametrize(
    ("kind", "data", "dtype", "optional"),
    [
        ("vocabulary", ["1 2", "a b"], "string", False),
        ("vocabulary", ["1 2", array([3])], "int64", False),
        ("vocabulary", [array([None]), array([3])], "int64", True),
        ("vocabulary", [array([3]), array([None])], "int64", True),
        ("vocabulary", [array([3]), array([2.0, None])], "int64", True),
        ("vocabulary", [array([3]), array(["a"])], "string", False),
        ("numeric", ["1 2", array([0.5, None])], "float32", True),
    ],
)
def test_files_that_differ_have_one_dtype_that_takes_them_all(kind, data, dtype, optional, tmp_path):
    assert resolved(kind, *data)(tmp_path) == Input(dtype=dtype, optional=optional)


def test_every_chunk_is_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr("tfloom.pipeline.sources.CHUNK_ROWS", 2)
    assert resolved("vocabulary", "1 2 3 4 a")(tmp_path) == Input(dtype="string", optional=False)
    assert resolved("vocabulary", "1 2 3 4 5.5 a")(tmp_path) == Input(dtype="string", optional=False)


def test_every_value_is_looked_at(tmp_path):
    many = " ".join(map(str, range(500)))
    assert resolved("vocabulary", many)(tmp_path).dtype == "int64"
    assert resolved("vocabulary", f"{many} a")(tmp_path).dtype == "string"
    with pytest.raises(SpecError, match="which holds float32"):
        resolved("vocabulary", f"{many} 0.5")(tmp_path)
    with pytest.raises(SpecError, match="which holds string"):
        resolved("numeric", f"0.5 {many} a")(tmp_path)


def test_readers_of_one_input_agree(tmp_path):
    columns = [{"name": "a", "source": "c"} | KINDS["identity"], {"name": "b", "source": "c"} | KINDS["numeric"]]
    spec = FeatureSpec.model_validate({"columns": columns})
    sources = find({None: pa.table({"c": [1, 2]})}, tmp_path)
    assert resolve(spec, sources).inputs == {"c": Input(dtype="int64", optional=False)}


@pytest.mark.parametrize(
    ("kind", "data", "what", "expected", "received"),
    [
        ("numeric", ["a b"], "columns.c: numeric cannot read 'c', which holds string", "float32 or int64", "string"),
        ("numeric", ["1 2", "a"], "columns.c: numeric cannot read 'c', which holds string", "float32", "string"),
        ("vocabulary", ["1.5 2"], "vocabulary cannot read 'c', which holds float32; make a bucketized column of it",
         "string or int64", "float32"),
        ("identity", ["a b"], "columns.c: identity cannot read 'c', which holds string", "int64", "string"),
        ("numeric", [array([[1.0], [2.0]])], "columns.c: numeric cannot read 'c', which is multi-valued",
         "an input with one value a row", "any number of values a row"),
    ],
)  # fmt: skip
def test_what_a_column_cannot_read(kind, data, what, expected, received, tmp_path):
    with pytest.raises(SpecError) as error:
        resolved(kind, *data)(tmp_path)
    assert what in error.value.what
    assert expected in error.value.expected
    assert received in error.value.received


def test_readers_of_one_input_that_want_different_things(tmp_path):
    columns = [{"name": "a", "source": "c"} | KINDS["image"], {"name": "b", "source": "c"} | KINDS["numeric"]]
    spec = FeatureSpec.model_validate({"columns": columns})
    with pytest.raises(SpecError, match=r"columns\.a: image cannot read 'c', which holds int64"):
        resolve(spec, find({None: pa.table({"c": [1, 2]})}, tmp_path))


SPEC = {
    "columns": [{"name": "x", "kind": "numeric", "source": "price"}],
    "labels": [{"name": "y", "source": "sold"}],
    "where": "shop == 'a'",
    "weight": {"source": "seats"},
    "key": ["id"],
}
COLUMNS = {"price": [1.0], "sold": [1.0], "shop": ["a"], "seats": [1], "id": [1]}


@pytest.mark.parametrize(
    ("absent", "reader"),
    [
        ("price", "columns.x"),
        ("sold", "labels.y"),
        ("seats", "weight"),
        ("shop", "where, key or split"),
        ("id", "where, key or split"),
    ],
)
def test_a_file_without_a_column_is_named(absent, reader, tmp_path):
    pq.write_table(pa.table(COLUMNS), tmp_path / "a")
    pq.write_table(pa.table({k if k != absent else f"{k}s": v for k, v in COLUMNS.items()}), tmp_path / "b")
    with pytest.raises(DataError) as error:
        resolve(FeatureSpec.model_validate(SPEC), find({None: str(tmp_path / "[ab]")}, tmp_path / "staging"))
    assert error.value.what == f"{tmp_path}/b: has no column {absent!r}, which {reader} reads"
    assert error.value.expected.startswith(f"'{absent}s', or another of: ")
    assert error.value.received == ", ".join(k if k != absent else f"{k}s" for k in COLUMNS)


def of_files(folder, *contents, inputs):
    """What is resolved of an input `c` from JSON lines files of these rows."""
    for i, rows in enumerate(contents):
        (folder / f"{i}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    columns = [{"name": "c", "kind": "vocabulary"}, {"name": "d", "kind": "vocabulary"}]
    spec = FeatureSpec.model_validate({"columns": columns, "inputs": inputs})
    return resolve(spec, find({None: str(folder / "*.jsonl")}, folder / "staging")).inputs


def test_a_column_that_some_files_lack_where_the_spec_says_it_is_optional(tmp_path):
    files = [{"c": "a", "d": "b"}], [{"d": "b"}], [{"c": None, "d": 1}]
    inputs = of_files(tmp_path, *files, inputs={"c": {"optional": True}})
    assert (inputs["c"].dtype, inputs["c"].optional, inputs["d"].dtype) == ("string", True, "string")
    with pytest.raises(DataError) as error:
        of_files(tmp_path, *files, inputs={})
    assert error.value.what == f"{tmp_path}/1.jsonl: has no column 'c', which columns.c reads"
    assert error.value.expected == "one of: d, or inputs.c: {optional: true}, as only files like 0.jsonl have it"
    assert error.value.received == "d"


def test_a_column_that_no_file_has(tmp_path):
    with pytest.raises(DataError) as error:
        of_files(tmp_path, [{"d": "b"}], inputs={"c": {"optional": True}})
    assert error.value.what == f"{tmp_path}/0.jsonl: has no column 'c', which columns.c reads"
    assert error.value.expected == "one of: d"


def test_what_a_label_is_made_of_may_be_absent_from_no_file(tmp_path):
    said = {"columns": [{"name": "c", "kind": "vocabulary"}], "labels": [{"name": "y", "source": "c", "positive": "a"}],
            "inputs": {"c": {"optional": True}}}  # fmt: skip
    (tmp_path / "a.csv").write_text("c\na\n")
    (tmp_path / "b.csv").write_text("d\na\n")
    with pytest.raises(DataError, match=r"b\.csv: has no column 'c', which columns\.c reads\n  expected: one of: d\n"):
        resolve(FeatureSpec.model_validate(said), find({None: str(tmp_path / "*.csv")}, tmp_path / "staging"))


def test_a_file_without_rows_lacks_nothing(tmp_path):
    inputs = of_files(tmp_path, [], [{"c": 1, "d": 2}], inputs={})
    assert (inputs["c"].dtype, inputs["c"].optional) == ("int64", False)


def test_damaged_rows_say_nothing_of_a_column(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"c,d\n1,1\n\xff,2\n3,3\n")
    (tmp_path / "b.jsonl").write_text('{"c": 1, "d": 1}\n{"c": \n')
    for name in ("a.csv", "b.jsonl"):
        columns = [{"name": "c", "kind": "vocabulary"}]
        spec = resolve(FeatureSpec.model_validate({"columns": columns}), find({None: tmp_path / name}, tmp_path / "s"))
        assert (spec.inputs["c"].dtype, spec.inputs["c"].optional) == ("int64", False)


@pytest.mark.parametrize("value", [{"a": 1}, [[1]]])
def test_a_column_in_parts_is_no_input(value, tmp_path):
    with pytest.raises(DataError, match=r"data in memory: column 'price', which columns\.x reads, is (struct|list)"):
        resolve(FeatureSpec.model_validate(SPEC), find({None: pa.table(COLUMNS | {"price": [value]})}, tmp_path))


def test_parquet_statistics_spare_a_look_at_the_rows(tmp_path, monkeypatch):
    def never(*_):
        raise AssertionError("rows were read")

    monkeypatch.setattr("tfloom.pipeline.resolve.chunks", never)
    assert resolved("vocabulary", array([1, None]))(tmp_path) == Input(dtype="int64", optional=True)
    assert resolved("numeric", "a b", dtype="float32", optional=True)(tmp_path) == Input(dtype="float32", optional=True)


@pytest.mark.parametrize(
    ("kind", "values", "dtype", "optional"),
    [
        ("vocabulary", ["a", "b", None, "c"], "string", True),
        ("vocabulary", ["a", "b", "", "NA"], "string", False),
        ("numeric", [0.5, 1.0, 2.0, None], "float32", True),
    ],
)
def test_parquet_statistics_and_the_first_rows_spare_a_look_at_the_others(
    kind, values, dtype, optional, tmp_path, monkeypatch
):
    def first(source, *names, read=sources.chunks):
        reading = read(source, *names)
        yield next(reading)
        raise AssertionError("more rows were read")

    monkeypatch.setattr(sources, "CHUNK_ROWS", 2)
    monkeypatch.setattr("tfloom.pipeline.resolve.chunks", first)
    assert resolved(kind, pa.array(values))(tmp_path) == Input(dtype=dtype, optional=optional)


@pytest.mark.parametrize(
    ("kind", "values", "dtype", "optional"),
    [
        ("vocabulary", ["1", "2", None, "c"], "string", True),  # numbers until the last
        ("numeric", [0.5, 1.0, 2.0, float("nan")], "float32", True),  # no null, which statistics would tell
        ("vocabulary", [1.0, 2.0, 3.0, None], "int64", True),  # all of them are whole
    ],
)
def test_what_the_first_rows_leave_open_the_others_tell(kind, values, dtype, optional, tmp_path, monkeypatch):
    monkeypatch.setattr(sources, "CHUNK_ROWS", 2)
    assert resolved(kind, pa.array(values))(tmp_path) == Input(dtype=dtype, optional=optional)
