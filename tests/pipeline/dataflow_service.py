"""A Dataflow service of one's own: the REST API that Beam calls, behind which the submitted pipeline really runs.

The pipeline is taken from where Beam staged it, in as much of Cloud Storage as staging needs, and run in this process.
"""

import base64
import contextlib
import http.server
import json
import re
import threading
import traceback
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.transforms.environments import EmbeddedPythonEnvironment

JOB_ID = "2026-11-27_00_00_00-1"
BUCKET = "bucket"


class DataflowService:
    """jobs: the bodies of what was submitted. pipelines: their protos, as Beam staged them. objects: staged, by URL.

    state: of the job, as the API spells it. released: unset, it keeps the job running.
    """

    def __init__(self):
        self.jobs, self.pipelines, self.requests, self.objects = [], [], [], {}
        self.state, self.counters, self.error = "JOB_STATE_PENDING", {}, ""
        self.released = threading.Event()
        self.released.set()

    def created(self, body):
        self.jobs.append(body)
        self.state, self.counters, self.error = "JOB_STATE_RUNNING", {}, ""
        staged = body["environment"]["sdkPipelineOptions"]["options"]["pipelineUrl"]
        self.pipelines.append(beam_runner_api_pb2.Pipeline.FromString(self.objects[staged]))
        threading.Thread(target=self._run, args=(self.pipelines[-1],), daemon=True).start()
        return {"id": JOB_ID, "name": body["name"], "clientRequestId": body.get("clientRequestId", "")} | self.job()

    def job(self):
        return {"id": JOB_ID, "projectId": "project", "location": "us-central1", "currentState": self.state}

    def _run(self, submitted):
        pipeline = beam_runner_api_pb2.Pipeline.FromString(submitted.SerializeToString())
        for environment in pipeline.components.environments.values():
            environment.CopyFrom(EmbeddedPythonEnvironment.default().to_runner_api(None))
        try:
            result = FnApiRunner().run_via_runner_api(pipeline, PipelineOptions([]))
            self.counters = {one.key.metric: one.committed for one in result.metrics().query()["counters"]}
            self.released.wait()
            if self.state == "JOB_STATE_RUNNING":
                self.state = "JOB_STATE_DONE"
        except Exception:  # whatever the job failed by, the service tells
            self.error, self.state = traceback.format_exc(), "JOB_STATE_FAILED"

    def metrics(self):
        updates = []
        for of, count in self.counters.items():
            for way in ({}, {"tentative": "true"}):
                name = {"origin": "user", "name": of.name, "context": {"namespace": of.namespace} | way}
                updates.append({"name": name, "scalar": count})
        return {"metrics": updates}

    def answer(self, method, path, body):
        self.requests.append((method, path, body))
        if method == "POST":
            return self.created(body)
        if method == "PUT":
            self.state = body["requestedState"]
            return self.job()
        if path.endswith("/messages"):
            told = {"id": "1", "time": "2026-11-27T00:00:00Z", "messageImportance": "JOB_MESSAGE_ERROR"}
            return {"jobMessages": [told | {"messageText": self.error}] if self.error else []}
        if path.endswith("/metrics"):
            return self.metrics()
        if path.endswith("/executionDetails"):
            done = "EXECUTION_STATE_SUCCEEDED"
            return {"stages": [{"stageId": "F1", "state": done}, {"stageId": "F2", "state": "EXECUTION_STATE_RUNNING"}]}
        return self.job()

    def storage(self, method, path, query, body):
        """(status, headers, content) of a request to Cloud Storage."""
        if method == "PUT":  # the content of an upload, whole
            self.objects[query["url"]] = body
            crc32c = base64.b64encode(google_crc32c.value(body).to_bytes(4, "big")).decode()
            return 200, {}, json.dumps({"name": query["url"], "bucket": BUCKET, "crc32c": crc32c}).encode()
        if path.startswith("/upload/"):
            url = f"gs://{BUCKET}/{json.loads(body)['name']}"
            return 200, {"Location": f"{self.url}{path}?url={url}"}, b""
        if path.endswith(f"/b/{BUCKET}"):
            return 200, {}, json.dumps({"name": BUCKET, "id": BUCKET}).encode()
        url = f"gs://{BUCKET}/" + unquote(re.sub(".*/o/", "", path))
        if url not in self.objects:
            return 404, {}, b"{}"
        return 200, {}, json.dumps({"name": url, "bucket": BUCKET}).encode()


@contextlib.contextmanager
def serving(monkeypatch):
    """A service and a Cloud Storage with a bucket: (service, the options of Beam that lead there)."""
    service = DataflowService()

    class Handler(http.server.BaseHTTPRequestHandler):
        def answered(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            at = urlsplit(self.path)
            if "/storage/" in at.path:
                query = {name: value[0] for name, value in parse_qs(at.query).items()}
                status, headers, said = service.storage(self.command, at.path, query, body)
            else:
                status, headers = 200, {}
                said = json.dumps(service.answer(self.command, at.path, json.loads(body or b"{}"))).encode()
            self.send_response(status)
            for name, value in (headers | {"Content-Type": "application/json", "Content-Length": len(said)}).items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(said)

        do_GET = do_POST = do_PUT = answered  # noqa: N815

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("localhost", 0), Handler)
    service.url = f"http://localhost:{server.server_port}"
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", service.url)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield service, [
            "--runner=DataflowRunner", "--project=project", "--region=us-central1", f"--temp_location=gs://{BUCKET}/tmp",
            f"--dataflow_endpoint={service.url}", "--no_auth",
        ]  # fmt: skip
    finally:
        server.shutdown()
        server.server_close()
