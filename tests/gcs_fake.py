"""Google Cloud Storage on this machine: buckets in memory, as much of the JSON API as files need."""

import contextlib
import datetime
import email.parser
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

OBJECTS = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/o")
OBJECT = re.compile(r"(?:/download)?/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)")
REWRITE = re.compile(r"/storage/v1/b/(?P<bucket>[^/]+)/o/(?P<name>[^/]+)/rewriteTo/b/(?P<to>[^/]+)/o/(?P<copy>[^/]+)")
UPLOAD = re.compile(r"/upload/storage/v1/b/(?P<bucket>[^/]+)/o")
RANGE = re.compile(r"bytes=(\d+)-(\d*)|bytes=-(\d+)")


class Storage:
    """objects: content by (bucket, name), in the order in which they appeared. refused: names that nobody may write."""

    def __init__(self):
        self.objects, self.refused = {}, {"refused"}
        self._changed, self._uploads = {}, {}
        self._generation = 1_700_000_000_000_000

    def put(self, bucket, name, content):
        self.objects.pop((bucket, name), None)
        self.objects[bucket, name] = content
        self._generation += 1
        self._changed[bucket, name] = self._generation
        return self.resource(bucket, name)

    def names(self, bucket, prefix=""):
        return sorted(name for of, name in list(self.objects) if of == bucket and name.startswith(prefix))

    def resource(self, bucket, name):
        moment = datetime.datetime.fromtimestamp(self._changed[bucket, name] / 1e6, datetime.UTC)
        generation = str(self._changed[bucket, name])
        return {
            "kind": "storage#object", "bucket": bucket, "name": name, "id": f"{bucket}/{name}/{generation}",
            "size": str(len(self.objects[bucket, name])), "generation": generation, "metageneration": "1",
            "updated": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
            "timeCreated": moment.isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }  # fmt: skip

    def answer(self, method, url, headers, body):
        """(status, headers, content)"""
        path, query = urlsplit(url).path, {key: value[0] for key, value in parse_qs(urlsplit(url).query).items()}
        told = {name: unquote(part) for pattern in (UPLOAD, REWRITE, OBJECT, OBJECTS)
                if (found := pattern.fullmatch(path)) for name, part in found.groupdict().items()}  # fmt: skip
        bucket, name = told.get("bucket"), told.get("name")
        if UPLOAD.fullmatch(path):
            return self._upload(method, bucket, query, headers, body)
        if REWRITE.fullmatch(path):
            made = self.put(told["to"], told["copy"], self.objects[bucket, name])
            return ok({"kind": "storage#rewriteResponse", "done": True, "totalBytesRewritten": made["size"],
                       "objectSize": made["size"], "resource": made})  # fmt: skip
        if OBJECTS.fullmatch(path):
            return ok(self._listed(bucket, query))
        if (bucket, name) not in self.objects:
            return 404, {}, json.dumps({"error": {"code": 404, "message": "No such object"}}).encode()
        if method == "DELETE":
            del self.objects[bucket, name]
            return 204, {}, b""
        if query.get("alt") != "media":
            return ok(self.resource(bucket, name))
        return self._media(self.objects[bucket, name], headers.get("Range"))

    def _listed(self, bucket, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        names, folders = [], {}
        for name in self.names(bucket, prefix):
            rest = name[len(prefix) :]
            if delimiter and delimiter in rest:
                folders[prefix + rest.partition(delimiter)[0] + delimiter] = None
            else:
                names.append(name)
        first = int(query.get("pageToken", 0))
        end = first + min(int(query.get("maxResults", 1_000)), 3)  # few a page, so that pages are tested
        more = {"nextPageToken": str(end)} if end < len(names) else {}
        items = [self.resource(bucket, name) for name in names[first:end]]
        return {"kind": "storage#objects", "items": items, "prefixes": list(folders)} | more

    def _media(self, content, asked):
        if asked is None:
            return 200, {}, content
        first, last, end = RANGE.fullmatch(asked).groups()
        first = len(content) - int(end) if end else int(first)
        if first >= len(content):
            return 416, {"Content-Range": f"bytes */{len(content)}"}, b""
        part = content[first : int(last) + 1 if last else None]
        return 206, {"Content-Range": f"bytes {first}-{first + len(part) - 1}/{len(content)}"}, part

    def _upload(self, method, bucket, query, headers, body):
        if query.get("uploadType") == "multipart":
            message = email.parser.BytesParser().parsebytes(
                b"Content-Type: " + headers["Content-Type"].encode() + b"\r\n\r\n" + body
            )
            meta, content = message.get_payload()
            name = query.get("name") or json.loads(meta.get_payload())["name"]
            boundary = re.search(r'boundary="?([^";]+)', headers["Content-Type"])[1].encode()
            raw = body.split(b"--" + boundary)[2].partition(b"\r\n\r\n")[2].removesuffix(b"\r\n")
            return self._stored(bucket, name, raw)
        if "upload_id" not in query:
            name = query.get("name") or json.loads(body or b"{}").get("name")
            key = str(len(self._uploads))
            self._uploads[key] = (bucket, name, bytearray())
            at = f"http://{headers['Host']}/upload/storage/v1/b/{bucket}/o?uploadType=resumable&upload_id={key}"
            return 200, {"Location": at}, b""
        bucket, name, content = self._uploads[query["upload_id"]]
        content += body
        if headers.get("Content-Range", "*/0").endswith("/*"):
            return 308, {"Range": f"bytes=0-{len(content) - 1}"} if content else {}, b""
        return self._stored(bucket, name, bytes(content))

    def _stored(self, bucket, name, content):
        if any(one in name for one in self.refused):
            return 403, {}, json.dumps({"error": {"code": 403, "message": "storage.objects.create denied"}}).encode()
        return ok(self.put(bucket, name, content))


def ok(value):
    return 200, {"Content-Type": "application/json"}, json.dumps(value).encode()


@contextlib.contextmanager
def serving(fake):
    """The URL under which it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            size = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(size)
            status, headers, content = fake.answer(self.command, self.path, self.headers, body)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("localhost", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


if __name__ == "__main__":  # in a process of its own: a client of C++ may wait for it while it holds Python's lock
    with serving(Storage()) as url:
        print(url, flush=True)
        threading.Event().wait()
