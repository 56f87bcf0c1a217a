"""Tables of BigQuery, read through a Storage Read API of our own."""

import datetime
import decimal
import pickle
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import tfloom
from tests.conftest import FLIGHTS, flights
from tests.pipeline.bigquery_fake import NAMED
from tests.pipeline.reading import rows
from tfloom.feature_specs.errors import DataError
from tfloom.feature_specs.spec import FeatureSpec
from tfloom.pipeline.infer import survey
from tfloom.pipeline.progress import about
from tfloom.pipeline.sources import chunks, find, schema

TABLE = "bq://my-project.shop.orders"


def numbered(count):
    return pa.table({"n": range(count), "text": [f"row {i}" for i in range(count)]})


def test_a_stream_is_a_source(bigquery, tmp_path):
    bigquery.add("my-project.shop.orders", numbered(1_000))
    bigquery.streams = 3
    found = find({"train": TABLE, "eval": numbered(1)}, tmp_path)
    assert [(one.index, one.label, one.place, one.split) for one in found] == [
        (0, "my-project.shop.orders/0", TABLE, "train"),
        (1, "my-project.shop.orders/1", TABLE, "train"),
        (2, "my-project.shop.orders/2", TABLE, "train"),
        (3, "eval.parquet", "data in memory", "eval"),
    ]
    assert [row for one in found[:3] for row in rows(one)] == numbered(1_000).to_pylist()
    assert [(one.first_row, len(one.rows)) for one in chunks(found[0], at_most=250)] == [(0, 250), (250, 83)]
    assert about(found[:3]) == 999


def test_a_stream_is_read_again_by_another_process(bigquery, tmp_path):
    """As Beam does: the session is made once."""
    bigquery.add("my-project.shop.orders", numbered(250))
    (one,) = find({None: TABLE}, tmp_path)
    assert rows(pickle.loads(pickle.dumps(one))) == rows(one) == numbered(250).to_pylist()
    assert bigquery.sessions == [[]]


def test_a_stream_that_breaks_is_resumed_where_it_broke(bigquery, tmp_path):
    bigquery.add("my-project.shop.orders", numbered(1_000))
    bigquery.breaks = {300, 700}
    (one,) = find({None: TABLE}, tmp_path)
    assert rows(one) == numbered(1_000).to_pylist()
    assert bigquery.reads == [(0, 0), (0, 300), (0, 700)]


def test_only_the_columns_that_are_read_are_sent(bigquery, tmp_path):
    table = numbered(3).append_column("s", pa.array([{"a": 1, "b": {"c": "x"}}, None, {"a": 2, "b": None}]))
    bigquery.add("my-project.shop.orders", table)
    (one,) = find({None: TABLE}, tmp_path, columns=["text", "s.b.c", "unknown"])
    assert bigquery.sessions[1:] == [["text", "s.b.c"]]
    assert schema(one).names == ["n", "text", "s.a", "s.b.c"]
    assert rows(one, columns=["s.b.c", "unknown"]) == [{"s.b.c": "x"}, {"s.b.c": None}, {"s.b.c": None}]


def test_a_table_without_rows(bigquery, tmp_path):
    bigquery.add("my-project.shop.orders", numbered(0))
    (one,) = find({None: TABLE}, tmp_path)
    assert (schema(one).names, rows(one)) == (["n", "text"], [])


def sql_type(name):
    return {"ARROW:extension:name": f"google:sqlType:{name}"}


def test_types(bigquery, tmp_path):
    moment = datetime.datetime(2024, 2, 29, 12, 30, 0, 250_000)
    of_each = {
        "STRING": (pa.string(), "ü"),
        "INT64": (pa.int64(), 2**62),
        "FLOAT64": (pa.float64(), 0.1),
        "BOOL": (pa.bool_(), True),
        "BYTES": (pa.binary(), b"\xff"),
        "NUMERIC": (pa.decimal128(38, 9), decimal.Decimal("1.500000000")),
        "BIGNUMERIC": (pa.decimal256(76, 38), decimal.Decimal("1e-38").quantize(decimal.Decimal("1e-38"))),
        "DATE": (pa.date32(), moment.date()),
        "DATETIME": (pa.timestamp("us"), moment),
        "TIME": (pa.time64("us"), moment.time()),
        "TIMESTAMP": (pa.timestamp("us", "UTC"), moment.replace(tzinfo=datetime.UTC)),
        "GEOGRAPHY": (pa.string(), "POINT(1 2)"),
        "JSON": (pa.string(), '{"a": 1}'),
        "REPEATED": (pa.list_(pa.int64()), [1, 2]),
    }
    fields = [pa.field(name, kind, metadata=sql_type(name.lower())) for name, (kind, _) in of_each.items()]
    values = {name: value for name, (_, value) in of_each.items()}
    bigquery.add("my-project.shop.orders", pa.Table.from_pylist([values, {"REPEATED": []}], pa.schema(fields)))
    (one,) = find({None: TABLE}, tmp_path)
    assert schema(one).equals(pa.schema([(name, kind) for name, (kind, _) in of_each.items()]), check_metadata=True)
    assert rows(one) == [values, dict.fromkeys(values) | {"REPEATED": []}]


def test_a_query(bigquery, tmp_path):
    bigquery.queries["SELECT 1"] = "p._anonymous.anon1"
    bigquery.add("p._anonymous.anon1", numbered(3))
    (tmp_path / "query.sql").write_text("SELECT 1\n")
    (one,) = find({None: tmp_path / "query.sql"}, tmp_path / "staging")
    assert (one.label, one.place) == ("query.sql/0", f"{tmp_path}/query.sql")
    assert rows(one) == numbered(3).to_pylist()


# -- the whole way ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def spec():
    return FeatureSpec.model_validate(yaml.safe_load(FLIGHTS))


def outcome(output):
    """The vocabularies, and the materialised rows without where they came from."""
    files = sorted((output.path / "examples").glob("*.parquet"))
    rows = pa.concat_tables(pq.read_table(file) for file in files).drop_columns(["__origin__"]).to_pylist()
    words = {path.name: path.read_text() for path in output.path.glob("transform_fn/assets/*")}
    report = {name: output.report[name] for name in ("rows", "splits", "num_buckets")}
    return rows, words, report, output.spec


def test_a_table_becomes_what_the_same_rows_in_parquet_become(spec, bigquery, tmp_path):
    bigquery.add("my-project.shop.orders", flights().append_column("unread", pa.nulls(120)))
    pq.write_table(flights(), tmp_path / "flights.parquet")
    table = tfloom.preprocess(spec, TABLE, tmp_path / "a", examples="parquet")
    file = tfloom.preprocess(spec, tmp_path / "flights.parquet", tmp_path / "b", examples="parquet")
    assert outcome(table) == outcome(file)
    assert table.report["sources"] == [{"label": "my-project.shop.orders/0", "path": TABLE}]
    assert bigquery.sessions == [[], list(spec.data_names)]
    (told, *_) = tfloom.transform(table, TABLE, rows=1)
    assert (told.origin, told.seen) == ("my-project.shop.orders/0:0", "-1")
    checked = tfloom.check(spec, TABLE)
    assert (checked.rows, checked.splits) == (table.report["rows"], table.report["splits"])


def test_streams_on_beam(spec, bigquery, tmp_path):
    bigquery.add("my-project.shop.orders", flights())
    bigquery.streams = 3
    here = tfloom.preprocess(spec, TABLE, tmp_path / "a", examples="parquet")
    beam = tfloom.preprocess(spec, TABLE, tmp_path / "b", examples="parquet", beam_options=["--runner=FnApiRunner"])
    assert outcome(here) == outcome(beam)
    assert {number for number, _ in bigquery.reads} == {0, 1, 2}


def test_infer(bigquery):
    table = flights()
    bigquery.add("my-project.shop.orders", table)
    assert survey(TABLE, "delay").spec == survey(table, "delay").spec


def test_what_needs_an_export(trained, bigquery):
    bigquery.add("my-project.shop.orders", trained.rows)
    assert tfloom.predict(trained.export, TABLE).equals(tfloom.predict(trained.export, trained.rows))
    assert len(bigquery.sessions[-1]) == len(trained.export.spec.input_names)
    assert tfloom.evaluate(trained.model, TABLE, slice_by="part") == tfloom.evaluate(
        trained.model, trained.rows, slice_by="part"
    )
    with pytest.raises(DataError, match="cannot be verified: no row has a place to find it by") as error:
        tfloom.verify(trained.export, TABLE)
    assert error.value.what.startswith(TABLE)


# -- errors -------------------------------------------------------------------------------------------------------


def refused(data, of=None):
    with pytest.raises(DataError) as error:
        find({None: data}, Path("staging")) if of is None else tfloom.check(of, data)
    return error.value.what, error.value.expected, error.value.received


def test_a_table_that_is_absent(bigquery):
    what, expected, received = refused(TABLE)
    assert (what, received) == (
        f"{TABLE}: is not found",
        f"Not found: Table {NAMED.format('my-project', 'shop', 'orders')}",
    )
    assert expected == "a table that is there, in a session of the last 6 hours"


def test_a_table_that_may_not_be_read(bigquery):
    bigquery.denied.add(NAMED.format("my-project", "shop", "orders"))
    what, expected, received = refused(TABLE)
    assert (what, received) == (f"{TABLE}: may not be read", "bigquery.tables.getData denied")
    assert "bigquery.readSessionUser" in expected


def test_nobody_is_signed_in(monkeypatch, tmp_path):
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    what, expected, _ = refused(TABLE)
    assert what == f"{TABLE}: nobody is signed in to Google Cloud"
    assert "gcloud auth application-default login" in expected


@pytest.mark.parametrize("name", ["bq://shop.orders", "bq://p.shop.orders_*", "bq://p.shop.orders$20240101", "bq://"])
def test_the_name_of_no_table(name):
    what, expected, received = refused(name)
    assert (what, received) == (f"{name}: is the name of no table", name.removeprefix("bq://"))
    assert "bq://project.dataset.table; for a view, a wildcard or a partition" in expected


def test_a_session_that_is_expired(bigquery, tmp_path):
    bigquery.add("my-project.shop.orders", numbered(3))
    (one,) = find({None: TABLE}, tmp_path)
    bigquery._made.clear()
    with pytest.raises(DataError, match="is not found\n  expected: a table that is there, in a session of the last 6"):
        rows(one)


def test_a_query_that_is_none(bigquery, tmp_path):
    (tmp_path / "query.sql").write_text("SELCT")
    what, _, received = refused(tmp_path / "query.sql")
    assert (what, received) == (f"{tmp_path}/query.sql: cannot be read", "Syntax error: SELCT")


def test_a_column_that_is_absent(spec, bigquery):
    bigquery.add("my-project.shop.orders", flights().rename_columns({"carrier": "carier"}))
    what, expected, _ = refused(TABLE, of=spec)
    assert what == f"{TABLE}: has no column 'carrier', which columns.carrier reads"
    assert expected.startswith("'carier', or another of: ")


@pytest.mark.parametrize(
    ("values", "received"),
    [
        (pa.array([pa.MonthDayNano([1, 2, 3])]), "month_day_nano_interval"),
        (pa.array([[{"a": 1}]]), "list<item: struct<a: int64>>"),
    ],
    ids=["INTERVAL", "REPEATED STRUCT"],
)
def test_a_column_that_cannot_be_read(values, received, spec, bigquery):
    first = flights().slice(0, 1)
    bigquery.add("my-project.shop.orders", first.set_column(first.schema.names.index("stops"), "stops", values))
    what, expected, found = refused(TABLE, of=spec)
    assert what == f"{TABLE}: column 'stops', which columns.stops reads, is {received}"
    assert (expected, found) == ("a value a row, or a list of values", received)
