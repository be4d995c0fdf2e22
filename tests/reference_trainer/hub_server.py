"""Serves data sets over the part of the hub's HTTP interface that its own client and ``datasets`` read."""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT, BLOB = "a" * 40, "b" * 40


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    repository: str
    files: Mapping[str, bytes]

    def log_message(self, *_: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self._json([self._entry(name) for name in asked["paths"] if name in self.files])

    def do_GET(self) -> None:
        path, api = unquote(urlsplit(self.path).path), f"/api/datasets/{self.repository}"
        if path.startswith(f"{api}/tree/"):
            self._json([self._entry(name) for name in self.files])
        elif path == api or path.startswith(f"{api}/revision/"):
            siblings = [{"rfilename": name} for name in self.files]
            self._json({"id": self.repository, "sha": COMMIT, "private": False, "tags": [], "siblings": siblings})
        elif (found := re.fullmatch(rf"/datasets/{self.repository}/resolve/[^/]+/(.+)", path)) and found[
            1
        ] in self.files:
            self._file(self.files[found[1]])
        else:
            kind = "RepoNotFound" if path.startswith("/api/") else "EntryNotFound"
            self._send(404, b"{}", {"X-Error-Code": kind})

    def _file(self, content: bytes) -> None:
        headers = {"ETag": f'"{BLOB}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if asked := re.match(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2] or len(content)), len(content) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(content)}"
            self._send(206, content[first : last + 1], headers)
        else:
            self._send(200, content, headers)

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _entry(self, name: str) -> dict[str, Any]:
        return {"type": "file", "path": name, "size": len(self.files[name]), "oid": BLOB}


@contextmanager
def serve(repository: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """Serves one data set; gives the address for ``HF_ENDPOINT``."""
    handler = type("Handler", (_Handler,), {"repository": repository, "files": dict(files)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
