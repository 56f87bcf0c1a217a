"""A table of BigQuery that appears whole: what workers wrote into Cloud Storage as Parquet, loaded by one job.

A load job is atomic, so that a table is there with all of its rows or is not there, and rows of bundles that ran twice,
which are in one file, are there once.
"""

from __future__ import annotations

import contextlib
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tfloom.feature_specs import storage
from tfloom.feature_specs.errors import ArtefactError, DataError, SpecError
from tfloom.pipeline.formats import bigquery
from tfloom.pipeline.shards import write_whole
from tfloom.pipeline.sources import Source, schema

REJECTED = "_rejected"
"""The end of the name of the table that rejected rows are kept in, where there are any."""

_FIELDS = pa.schema({
    "origin": pa.string(), "line": pa.int64(), "offset": pa.int64(), "column": pa.string(), "reason": pa.string(),
    "row": pa.string(),
})  # fmt: skip
_COLUMN = re.compile(r"[A-Za-z_]\w{0,299}", re.ASCII)


def is_one(out: str | Path) -> bool:
    """Whether it is a table, by its name."""
    return str(out).startswith(bigquery.SCHEME)


@contextlib.contextmanager
def whole_table(out: str, overwrite: bool, temp_location: str | None) -> Iterator[Path]:
    """A folder of a job's output, which on leaving becomes the table `out`, and vanishes in any case.

    temp_location: the folder in Cloud Storage that it is made in.

    Raises:
      DataError, SpecError, ArtefactError: at once where `out` is no name of a table, or one that is there and is not to
        be overwritten, or `temp_location` is elsewhere; on leaving, where BigQuery does not load it.
    """
    table = bigquery.table_id(out)
    _in_cloud_storage(temp_location)
    with _told(out), bigquery.client() as client:
        for name in (table, table + REJECTED):
            if not overwrite and _is_there(client, name):
                raise ArtefactError(f"{bigquery.SCHEME}{name}: is there already",
                                    expected="the name of a new table, or --overwrite", received=out)  # fmt: skip
    folder = storage.local(f"{temp_location}/{table}.{uuid.uuid4().hex[:8]}")
    folder.mkdir(parents=True)
    try:
        yield folder
        _rejected_as_parquet(folder)
        rows = json.loads((folder / "report.json").read_text())["rows"]
        with _told(out), bigquery.client() as client:
            for name, of, count in (
                (table + REJECTED, "rejected", rows["rejected"]),
                (table, "predictions", rows["out"]),
            ):
                if count:
                    _load(client, name, f"{storage.named(folder)}/{of}/*.parquet", overwrite)
                elif overwrite:
                    client.delete_table(name, not_found_ok=True)
    finally:
        storage.remove(folder)


def check_columns(sources: Sequence[Source], names: Sequence[str]) -> None:
    """Raise DataError where one of these columns of the data cannot be one of a table."""
    first, *others = [(source.place, schema(source)) for source in sources]
    for name in names:
        expected = first[1].field(name).type
        for place, columns in others:
            if columns.field(name).type != expected:
                raise DataError(f"{place}: key: {name!r} is of another type than in {first[0]}",
                                expected=str(expected), received=str(columns.field(name).type))  # fmt: skip
        if not _COLUMN.fullmatch(name):
            raise DataError(f"key: {name!r} cannot be a column of BigQuery",
                            expected="letters, digits and _: another --key, or a table with another name for it",
                            received=name)  # fmt: skip


def _in_cloud_storage(temp_location: str | None) -> None:
    if not (temp_location or "").startswith("gs://"):
        raise SpecError("--temp_location: is where BigQuery loads a table from", expected="gs://BUCKET/FOLDER",
                        received=temp_location or "no --temp_location")  # fmt: skip


def _is_there(client: Any, name: str) -> bool:
    from google.api_core.exceptions import NotFound

    try:
        client.get_table(name)
    except NotFound:
        return False
    return True


def _load(client: Any, table: str, files: str, overwrite: bool) -> None:
    from google.cloud.bigquery import LoadJobConfig, SourceFormat, WriteDisposition
    from google.cloud.bigquery.format_options import ParquetOptions

    lists = ParquetOptions()
    lists.enable_list_inference = True  # else a list would be a STRUCT of a list of STRUCTs
    how = LoadJobConfig(
        source_format=SourceFormat.PARQUET, parquet_options=lists,
        write_disposition=WriteDisposition.WRITE_TRUNCATE if overwrite else WriteDisposition.WRITE_EMPTY,
    )  # fmt: skip
    client.load_table_from_uri(files, table, job_config=how).result()


def _rejected_as_parquet(folder: Path) -> None:
    """A rejected row as a row, what it held in JSON."""
    for file in (folder / "rejected").glob("*.jsonl"):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        told = [row | {"row": None if row["row"] is None else json.dumps(row["row"])} for row in rows]
        sink = pa.BufferOutputStream()
        pq.write_table(pa.Table.from_pylist(told, _FIELDS), sink)
        write_whole(f"{storage.named(folder)}/rejected/{file.stem}.parquet", sink.getvalue().to_pybytes())


@contextlib.contextmanager
def _told(place: str) -> Iterator[None]:
    """What the service refuses, in three parts."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError

    try:
        yield
    except (GoogleAPIError, GoogleAuthError) as error:
        raise ArtefactError(
            f"{place}: cannot be written",
            expected="a dataset that is there, and who is signed in with the roles bigquery.dataEditor and "
            "bigquery.jobUser: `gcloud auth application-default login`",
            received=bigquery.line(error),
        ) from error
