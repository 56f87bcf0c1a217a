"""BigQuery on this machine: the Storage Read API over gRPC, and as much of the REST API as a query needs."""

import contextlib
import glob
import itertools
import json
import re
import threading
from concurrent import futures
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import grpc
import pyarrow as pa
import pyarrow.parquet as pq
from google.cloud.bigquery_storage_v1 import types

SERVICE = "google.cloud.bigquery.storage.v1.BigQueryRead"
NAMED = "projects/{}/datasets/{}/tables/{}"
TABLE = re.compile(r"/bigquery/v2/projects/([^/]+)/datasets/([^/]+)/tables/([^/]+)")


class BigQuery:
    """tables: by the Read API's name. queries: by SQL, the name of the table of what they give.

    streams: how many a session has. message_rows: how many rows a message has. breaks: at how many rows a stream breaks
    off, once. sessions, reads: what was asked for, reads as (number of the stream, offset). loads: the configurations
    of load jobs, whose files are of this machine.
    """

    def __init__(self):
        self.tables, self.queries = {}, {}
        self.denied, self.breaks = set(), set()
        self.loads = []
        self.streams, self.message_rows = 1, 100
        self.sessions, self.reads = [], []
        self._made = {}

    def add(self, name, table):
        self.tables[NAMED.format(*name.split("."))] = table

    def create_read_session(self, request, context):
        wanted = request.read_session
        self.sessions.append(list(wanted.read_options.selected_fields))
        if wanted.table in self.denied:
            context.abort(grpc.StatusCode.PERMISSION_DENIED, "bigquery.tables.getData denied")
        if wanted.table not in self.tables:
            context.abort(grpc.StatusCode.NOT_FOUND, f"Not found: Table {wanted.table}")
        assert wanted.data_format == types.DataFormat.ARROW
        table = selected(self.tables[wanted.table], list(wanted.read_options.selected_fields))
        name = f"{request.parent}/locations/eu/sessions/{len(self._made)}"
        count = min(self.streams, table.num_rows)
        bounds = [table.num_rows * i // max(count, 1) for i in range(count + 1)]
        self._made |= {f"{name}/streams/{i}": table.slice(a, b - a)
                       for i, (a, b) in enumerate(itertools.pairwise(bounds))}  # fmt: skip
        return types.ReadSession(
            name=name, estimated_row_count=table.num_rows,
            arrow_schema=types.ArrowSchema(serialized_schema=table.schema.serialize().to_pybytes()),
            streams=[types.ReadStream(name=f"{name}/streams/{i}") for i in range(count)],
        )  # fmt: skip

    def read_rows(self, request, context):
        if request.read_stream not in self._made:
            context.abort(grpc.StatusCode.NOT_FOUND, "the session is expired")
        table = self._made[request.read_stream]
        self.reads.append((int(request.read_stream.rpartition("/")[2]), request.offset))
        for first in range(request.offset, table.num_rows, self.message_rows):
            if first in self.breaks:
                self.breaks.remove(first)
                context.abort(grpc.StatusCode.UNAVAILABLE, "the connection is lost")
            (rows,) = table.slice(first, self.message_rows).combine_chunks().to_batches()
            yield types.ReadRowsResponse(
                row_count=rows.num_rows,
                arrow_record_batch=types.ArrowRecordBatch(serialized_record_batch=rows.serialize().to_pybytes()),
            )

    def asked(self, method, path, body):
        """What the REST API answers, (status, JSON)."""
        if table := TABLE.fullmatch(path.partition("?")[0]):
            name = NAMED.format(*table.groups())
            if name not in self.tables:
                return 404, {"error": {"code": 404, "message": f"Not found: Table {name}"}}
            if method == "DELETE":
                del self.tables[name]
            project, dataset, of = table.groups()
            return 200, {"tableReference": {"projectId": project, "datasetId": dataset, "tableId": of}}
        if body is not None and "load" in body.get("configuration", {}):
            return self.loaded(body)
        return self.queried(path, body)

    def loaded(self, body):
        load = body["configuration"]["load"]
        to = load["destinationTable"]
        name = NAMED.format(to["projectId"], to["datasetId"], to["tableId"])
        done = {"state": "DONE"}
        if name in self.denied:
            error = {"reason": "accessDenied", "message": "bigquery.tables.create denied"}
            done |= {"errorResult": error, "errors": [error]}
        else:
            self.loads.append(load)
            files = sorted(file for uri in load["sourceUris"] for file in glob.glob(uri))
            self.tables[name] = pa.concat_tables(map(pq.read_table, files))
        return 200, {"jobReference": body["jobReference"] | {"location": "eu"}, "status": done,
                     "configuration": {"jobType": "LOAD", "load": load}}  # fmt: skip

    def queried(self, path, body):
        """What the REST API answers where it is a query."""
        job = {"projectId": "p", "jobId": "j", "location": "eu"}
        if body is not None:
            self.sql = body["configuration"]["query"]["query"].strip()
        if self.sql not in self.queries:
            wrong = {"reason": "invalidQuery", "message": f"Syntax error: {self.sql}"}
            return 400, {"error": {"code": 400, "message": "Bad Request", "errors": [wrong]}}
        if "/queries/" in path:
            return 200, {"jobReference": job, "jobComplete": True, "totalRows": "0", "rows": [],
                         "schema": {"fields": []}}  # fmt: skip
        project, dataset, table = self.queries[self.sql].split(".")
        return 200, {
            "jobReference": job, "status": {"state": "DONE"}, "statistics": {"query": {"statementType": "SELECT"}},
            "configuration": {"jobType": "QUERY", "query": {
                "query": self.sql,
                "destinationTable": {"projectId": project, "datasetId": dataset, "tableId": table},
            }},
        }  # fmt: skip


def selected(table, names):
    """As selected_fields chooses, fields of a STRUCT by their dotted names."""
    if not names:
        return table
    arrays = {}
    for field in table.schema:
        if field.name in names:
            arrays[field.name] = table.column(field.name)
        elif parts := [name.removeprefix(f"{field.name}.") for name in names if name.startswith(f"{field.name}.")]:
            struct = table.column(field.name).combine_chunks()
            inner = selected(pa.Table.from_batches([pa.RecordBatch.from_struct_array(struct)]), parts)
            columns = [column.combine_chunks() for column in inner.columns]
            arrays[field.name] = pa.StructArray.from_arrays(columns, inner.schema.names, mask=struct.is_null())
    assert {name.partition(".")[0] for name in names} == set(arrays), "the service refuses unknown columns"
    return pa.table(arrays)


@contextlib.contextmanager
def serving(fake):
    """(host of the Read API, URL of the REST API)"""
    rpc = grpc.server(futures.ThreadPoolExecutor(4))
    handlers = {
        "CreateReadSession": grpc.unary_unary_rpc_method_handler(
            fake.create_read_session, types.CreateReadSessionRequest.deserialize, types.ReadSession.serialize
        ),
        "ReadRows": grpc.unary_stream_rpc_method_handler(
            fake.read_rows, types.ReadRowsRequest.deserialize, types.ReadRowsResponse.serialize
        ),
    }
    rpc.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    port = rpc.add_insecure_port("localhost:0")
    rpc.start()

    class Rest(BaseHTTPRequestHandler):
        def do_POST(self):
            self.answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def do_GET(self):
            self.answer(None)

        do_DELETE = do_GET  # noqa: N815

        def answer(self, body):
            status, told = fake.asked(self.command, self.path, body)
            content = json.dumps(told).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    rest = ThreadingHTTPServer(("localhost", 0), Rest)
    thread = threading.Thread(target=rest.serve_forever)
    thread.start()
    try:
        yield f"localhost:{port}", f"http://localhost:{rest.server_port}"
    finally:
        rest.shutdown()
        rest.server_close()
        thread.join()
        rpc.stop(None).wait()
