"""TF Serving's REST API over exports in this process: for development, tests and small use.

Requests, answers and errors are those of tensorflow_model_server (docs of TF Serving: "RESTful API"), so that a client
need not know which of the two answers. Two things are stricter or kinder here: an input that the signature does not
have is an error in the columnar format too, and a string that is not UTF-8 is written as ``{"b64": ...}`` whatever its
name.
"""

from __future__ import annotations

import json
import logging
import re
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tfloom.feature_specs.errors import ArtefactError, DataError
from tfloom.serving import rest_bodies
from tfloom.serving.loaded_model import LoadedModel, NotServedError, find, find_status

MAX_BODY = 256 << 20
"""The bytes of the largest request taken; a thousand pictures fit."""

_ASKED = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?:(predict|classify|regress)", re.IGNORECASE)
_STATUS = re.compile(r"/v1/models/([^/:]+)(?:/versions/(\d+))?(/metadata)?", re.IGNORECASE)

_BODIES = {"predict": rest_bodies.predict, "classify": rest_bodies.classify, "regress": rest_bodies.regress}

_log = logging.getLogger(__name__)


class RestError(Exception):
    """An answer other than 200: its code and the text of its "error"."""

    def __init__(self, code: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.code = code


class Server:
    """A REST API that answers in the background until it is stopped.

    url: where it listens, such as ``http://127.0.0.1:8501``.
    """

    def __init__(self, models: Mapping[str, LoadedModel], host: str, port: int) -> None:
        handler = type("Handler", (_Handler,), {"models": dict(models)})
        try:
            self._http = _HttpServer((host, port), handler)
        except OSError as error:
            raise ArtefactError(f"{host}:{port}: cannot be listened on", expected="a free port; 0 takes any",
                                received=str(error)) from None  # fmt: skip
        self.url = f"http://{host}:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop listening, and free the port."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def wait(self) -> None:
        """Return when it was stopped."""
        self._thread.join()


class _HttpServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A client that went away in the middle is no reason for a traceback on the terminal.
        _log.debug("%s: connection lost", client_address, exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    models: Mapping[str, LoadedModel]

    protocol_version = "HTTP/1.1"
    server_version = "tfloom"
    sys_version = ""
    disable_nagle_algorithm = True
    timeout = 120  # seconds that a connection may be idle
    wbufsize = -1  # headers and body leave as one packet

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        _log.info(format, *args)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What http.server itself refuses, such as another method, in JSON too."""
        self.close_connection = True
        self._send(code, {"error": message or HTTPStatus(code).phrase})

    def _get(self) -> dict[str, Any]:
        match = _STATUS.fullmatch(self.path)
        if match is None:
            raise self._malformed()
        name, version, metadata = match.groups()
        if metadata:
            return rest_bodies.metadata(find(self.models, name, version))
        return rest_bodies.status(find_status(self.models, name, version))

    def _post(self) -> dict[str, Any]:
        body = self._body()
        match = _ASKED.fullmatch(self.path)
        if match is None:
            raise self._malformed()
        try:
            request = json.loads(body)
        except (UnicodeDecodeError, RecursionError) as error:
            raise RestError(HTTPStatus.BAD_REQUEST, f"JSON Parse error: {error}") from None
        except json.JSONDecodeError as error:
            text = "The document is empty" if not body else f"{error.msg} at offset: {error.pos}"
            raise RestError(HTTPStatus.BAD_REQUEST, f"JSON Parse error: {text}") from None
        name, version, method = match.groups()
        return _BODIES[method.lower()](find(self.models, name, version), request)

    def _body(self) -> bytes:
        size = self.headers.get("Content-Length", "")
        if not size.isdigit():
            self.close_connection = True
            raise RestError(HTTPStatus.LENGTH_REQUIRED, "A request needs its Content-Length")
        if int(size) > MAX_BODY:
            self.close_connection = True
            raise RestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A request has at most {MAX_BODY} bytes, not {size}")
        return self.rfile.read(int(size))

    def _malformed(self) -> RestError:
        return RestError(HTTPStatus.BAD_REQUEST, f"Malformed request: {self.command} {self.path}")

    def _answer(self, respond: Callable[[], dict[str, Any]]) -> None:
        try:
            code, answer = HTTPStatus.OK, respond()
        except RestError as error:
            code, answer = error.code, {"error": str(error)}
        except NotServedError as error:
            code, answer = HTTPStatus.NOT_FOUND, {"error": str(error)}
        except DataError as error:
            told = "; ".join(line.strip() for line in str(error).splitlines())
            code, answer = HTTPStatus.BAD_REQUEST, {"error": told}
        except Exception as error:
            code, answer = _failed(error), {"error": getattr(error, "message", str(error))}
            if code == HTTPStatus.INTERNAL_SERVER_ERROR:
                _log.exception("%s %s", self.command, self.path)
        self._send(code, answer)

    def _send(self, code: int, answer: Mapping[str, Any]) -> None:
        body = json.dumps(answer).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _failed(error: Exception) -> HTTPStatus:
    """What TensorFlow said of the inputs is the client's doing, all else ours."""
    import tensorflow as tf

    of_the_inputs = (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError, tf.errors.FailedPreconditionError)
    return HTTPStatus.BAD_REQUEST if isinstance(error, of_the_inputs) else HTTPStatus.INTERNAL_SERVER_ERROR
