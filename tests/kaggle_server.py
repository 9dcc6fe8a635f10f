"""A small stand-in for Kaggle's server: the real client downloads from it, with faults on order.

The client ignores KAGGLE_API_ENVIRONMENT (its command line always takes the production server), so
`environment` hands every Python it starts a sitecustomize module that changes that one address.
The client then asks, in this order (steps; the first only with an access token):

    IntrospectToken, GetDatasetMetadata, DownloadDataset -> 302 -> storage       (a data set)
    IntrospectToken, DownloadDataFiles -> 302 -> storage                         (a competition)

`server.faults["storage"].append(Fault(...))` orders how the next request of that step is answered;
with nothing ordered every step answers well. `server.seen` lists (step, headers) as they came.
"""

import json
import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENDPOINT = """import kagglesdk.kaggle_env as env
env._env_to_endpoint[env.KaggleEnv.PROD] = "http://127.0.0.1:{port}"
"""
TAG = '"v1"'


@dataclass
class Fault:
    """How to answer one request; what is left out is answered as Kaggle would."""

    status: int | None = None  # an HTTP status
    message: str | None = None  # Kaggle's JSON error instead of a bare status
    body: bytes | None = None  # other bytes
    length: int | None = None  # what Content-Length claims
    cut: int | None = None  # close the connection after so many bytes
    hold: threading.Event | None = None  # wait here after `cut` bytes
    piece: int | None = None  # send so many bytes at a time ...
    pause: float = 0  # ... and wait so many seconds after each
    headers: dict = field(default_factory=dict)  # more or other headers; None leaves one out


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(self.path.rsplit("/", 1)[-1])

    def do_GET(self):
        self.answer("storage")

    def answer(self, step):
        server = self.server
        server.seen.append((step, dict(self.headers)))
        fault = server.faults[step].popleft() if server.faults[step] else Fault()
        status, headers, body = self.good(step)
        if fault.status:
            status, body = fault.status, b"<html>an error page</html>"
            headers = {"Content-Type": "text/html"}
        if fault.message:
            body = json.dumps({"code": status, "message": fault.message}).encode()
            headers = {"Content-Type": "application/json"}
        body = body if fault.body is None else fault.body
        headers["Content-Length"] = str(len(body) if fault.length is None else fault.length)
        self.write(status, headers | fault.headers, body, fault)

    def write(self, status, headers, body, fault):
        self.send_response(status)
        for name, value in headers.items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        body = body[: fault.cut]
        for start in range(0, len(body), fault.piece or len(body) or 1):
            self.wfile.write(body[start : start + (fault.piece or len(body))])
            self.wfile.flush()
            time.sleep(fault.pause)
        if fault.hold:
            fault.hold.wait(30)
        # A claimed length that is not the body's leaves the connection out of step: close it.
        self.close_connection = True

    def good(self, step):
        """Kaggle's own answer to this step: (status, headers, body)."""
        server = self.server
        if step == "storage":
            return self.stored(server.archive)
        if step.startswith("Download"):
            # Another name for the same machine, so that requests drops the credentials, as it
            # does between api.kaggle.com and storage.googleapis.com.
            place = f"http://localhost:{server.server_port}/storage/archive.zip?signed=1"
            return 302, {"Location": place}, b""
        reply = {"active": True, "username": "someone", "info": {"licenses": [{"name": "CC0-1.0"}]}}
        return 200, {"Content-Type": "application/json"}, json.dumps(reply).encode()

    def stored(self, data):
        headers = {"Content-Type": "application/zip", "Accept-Ranges": "bytes", "ETag": TAG}
        headers["Last-Modified"] = "Mon, 06 Jan 2020 10:00:00 GMT"
        wanted = self.headers.get("Range")
        if not wanted:
            return 200, headers, data
        start = int(wanted.removeprefix("bytes=").split("-")[0])
        if start >= len(data):
            return 416, headers, b""
        headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        return 206, headers, data[start:]


class KaggleServer(ThreadingHTTPServer):
    """`with KaggleServer(archive_bytes) as server:` serves on a free port until the block ends."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, archive):
        super().__init__(("127.0.0.1", 0), Handler)
        self.archive = archive
        self.seen = []
        self.faults = defaultdict(deque)

    def __enter__(self):
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *args):
        self.shutdown()
        self.server_close()

    def steps(self):
        return [step for step, _ in self.seen]


def environment(folder, port):
    """Environment variables that send the client to `port`, with `folder` as an empty home."""
    (folder / "sitecustomize.py").write_text(ENDPOINT.format(port=port))
    home = {"HOME": str(folder), "USERPROFILE": str(folder)}
    return home | {"PYTHONPATH": str(folder), "NO_PROXY": "*", "no_proxy": "*"}
