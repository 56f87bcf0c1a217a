"""BigQuery: a table, or what a query in a .sql file gives, by the Storage Read API.

A read session is made once, when the sources are found. It keeps the table as it was at that moment, and divides its
rows into streams; a stream that is read again gives the same rows in the same order, as long as the session lives: 6
hours. What is called a path elsewhere is here a Stream, which workers far away can read.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import DataError
from tfloom.pipeline.formats import Batch, regrouped
from tfloom.pipeline.formats.parquet import plain

ENDINGS: tuple[str, ...] = ()
SCHEME = "bq://"

_TABLE = re.compile(r"bq://(?P<project>[\w.:-]+)\.(?P<dataset>\w+)\.(?P<table>[\w -]+)")
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


@dataclass(frozen=True)
class Stream:
    """Some rows of a table.

    name: as the Read API has it; '' where the table has no rows.
    table: what it is called here. columns: all of the table's. sent: those that are sent, as they are sent.
    rows: about how many.
    """

    name: str
    table: str
    columns: pa.Schema
    sent: pa.Schema
    rows: int


def is_one(path: str) -> bool:
    """By its name."""
    return path.startswith(SCHEME) or path.endswith(".sql")


def streams(path: str, columns: Sequence[str] | None = None) -> tuple[Stream, ...]:
    """The streams of a new session of a table or a query; of `columns` those that it has, all where it has none.

    Raises:
      DataError: where there is no such table, or it may not be read.
    """
    with _told(path):
        project, table = _table(path) if path.startswith(SCHEME) else _queried(path)
        session = _session(project, table)
        found = _schema(session)
        wanted = [name for name in found.names if columns is not None and name in columns]
        if wanted and len(wanted) < len(found):
            session = _session(project, table, wanted)
    sent = _sent(session)
    names = [stream.name for stream in session.streams] or [""]
    return tuple(Stream(name, path, found, sent, session.estimated_row_count // len(names)) for name in names)


def schema(stream: Stream) -> pa.Schema:
    """The columns of the table, those of a STRUCT by their dotted names; their types made plain."""
    return stream.columns


def batches(stream: Stream, columns: Sequence[str] | None, size: int) -> Iterator[Batch]:
    """See the package. A stream that breaks off is resumed where it broke off, by the client."""
    names = [field.name for field in _flat_fields(stream.sent)] if columns is None else columns
    fields = pa.schema([stream.columns.field(name) for name in names])
    yield from regrouped(_read(stream, fields), size, fields)


def _read(stream: Stream, fields: pa.Schema) -> Iterator[Batch]:
    if not stream.name:
        return
    with _told(stream.table):
        for message in _client()[0].read_rows(stream.name):
            sent = pa.ipc.read_record_batch(message.arrow_record_batch.serialized_record_batch, stream.sent)
            columns = zip(sent.schema.names, sent.columns, strict=True)
            held = dict(part for name, values in columns for part in _flat(name, values))
            yield Batch(pa.RecordBatch.from_arrays([held[f.name].cast(f.type) for f in fields], schema=fields))


def _flat(name: str, values: pa.Array) -> Iterator[tuple[str, pa.Array]]:
    """A column, or in place of a STRUCT its fields; null where it is."""
    if not pa.types.is_struct(values.type):
        yield name, values
        return
    for field, part in zip(values.type, values.flatten(), strict=True):
        yield from _flat(f"{name}.{field.name}", part)


def _flat_fields(fields: pa.Schema) -> Iterator[pa.Field]:
    for field in fields:
        if pa.types.is_struct(field.type):
            yield from _flat_fields(pa.schema([part.with_name(f"{field.name}.{part.name}") for part in field.type]))
        else:
            yield pa.field(field.name, plain(field.type))


def _session(project: str, table: str, columns: Sequence[str] = ()) -> Any:
    from google.cloud.bigquery_storage import types

    client, billed = _client()
    wanted = types.ReadSession(table=table, data_format=types.DataFormat.ARROW)
    wanted.read_options.selected_fields = list(columns)
    return client.create_read_session(parent=f"projects/{billed or project}", read_session=wanted)


def _sent(session: Any) -> pa.Schema:
    return pa.ipc.read_schema(pa.py_buffer(session.arrow_schema.serialized_schema))


def _schema(session: Any) -> pa.Schema:
    return pa.schema(list(_flat_fields(_sent(session))))


def table_id(path: str) -> str:
    """project.dataset.table of bq://project.dataset.table. Raises DataError where it is the name of no table."""
    _table(path)
    return path.removeprefix(SCHEME)


def _table(path: str) -> tuple[str, str]:
    """(project, table) as the Read API calls them."""
    read = _TABLE.fullmatch(path)
    if read is None:
        raise DataError(f"{path}: is the name of no table", expected=f"bq://project.dataset.table{_QUERIED}",
                        received=path.removeprefix(SCHEME))  # fmt: skip
    return read["project"], "projects/{project}/datasets/{dataset}/tables/{table}".format(**read.groupdict())


_QUERIED = "; for a view, a wildcard or a partition a .sql file with a query of it"


def _queried(path: str) -> tuple[str, str]:
    """(project, table) of what a query gives: a table without a name, which lives for a day."""
    with client() as asked:
        job = asked.query(storage.read(path).decode())
        job.result(max_results=1)
        if (found := job.destination) is None:
            raise DataError(f"{path}: gives no rows", expected="one SELECT", received=str(job.statement_type))
        return _table(f"{SCHEME}{found.project}.{found.dataset_id}.{found.table_id}")


def client() -> Any:
    """Of the REST API, by which queries and load jobs are asked for."""
    from google.auth.credentials import AnonymousCredentials
    from google.cloud import bigquery

    credentials, project = (
        (AnonymousCredentials(), os.environ.get("GOOGLE_CLOUD_PROJECT", "emulated"))
        if os.environ.get("BIGQUERY_EMULATOR_HOST")
        else _credentials()
    )
    return bigquery.Client(project=project, credentials=credentials)


def _client() -> tuple[Any, str | None]:
    """The client of the Read API, and the project whose sessions they are, None for that of the table."""
    return _connected(os.environ.get("BIGQUERY_STORAGE_EMULATOR_HOST"))


@functools.cache
def _connected(emulator: str | None) -> tuple[Any, str | None]:
    from google.cloud.bigquery_storage import BigQueryReadClient

    if emulator is None:
        credentials, project = _credentials()
        return BigQueryReadClient(credentials=credentials), project
    import grpc
    from google.cloud.bigquery_storage_v1.services.big_query_read.transports import BigQueryReadGrpcTransport

    channel = grpc.insecure_channel(emulator, [("grpc.max_receive_message_length", -1)])
    return BigQueryReadClient(transport=BigQueryReadGrpcTransport(channel=channel)), None


def _credentials() -> tuple[Any, str | None]:
    import google.auth

    found: tuple[Any, str | None] = google.auth.default(scopes=_SCOPES)
    return found


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    """What the service refuses, in three parts."""
    from google.api_core import exceptions
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except GoogleAuthError as error:
        raise DataError(f"{place}: nobody is signed in to Google Cloud",
                        expected="`gcloud auth application-default login`, or GOOGLE_APPLICATION_CREDENTIALS",
                        received=line(error)) from error  # fmt: skip
    except exceptions.NotFound as error:
        raise DataError(f"{place}: is not found", expected="a table that is there, in a session of the last 6 hours",
                        received=line(error)) from error  # fmt: skip
    except (exceptions.Forbidden, exceptions.Unauthorized) as error:
        raise DataError(f"{place}: may not be read",
                        expected="the roles bigquery.readSessionUser of the project, bigquery.dataViewer of the table",
                        received=line(error)) from error  # fmt: skip
    except exceptions.GoogleAPIError as error:
        expected = f"a table{_QUERIED}" if place.startswith(SCHEME) else "a SELECT that BigQuery runs"
        raise DataError(f"{place}: cannot be read", expected=expected, received=line(error)) from error


def line(error: Exception) -> str:
    """What the service says, in one line."""
    of_rest = [one["message"] for one in getattr(error, "errors", ()) if isinstance(one, dict)]
    return " ".join(str(of_rest[0] if of_rest else getattr(error, "message", error)).split())[:300]
