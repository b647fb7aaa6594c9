"""A small front door: reads what SDKs send by the protocols, keeps it, and answers in their words."""

from __future__ import annotations

import gzip
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from pipeline.collect.model import Answer, Incoming, Refused, Request, Result, Written
from pipeline.collect.protocols import protocols


class Front:
    """Serves on a free port until it is left. `failing`: of so many requests with events it says that it can't.
    `collect`: where its pages send instead, if not here.
    """

    def __init__(self, pages: Path | None = None, failing: int = 0, collect: str = "") -> None:
        #: Write key and what was told, of every request that was taken.
        self.told: list[tuple[str, Incoming | Refused]] = []
        #: Requests that no protocol knew.
        self.unknown: list[str] = []
        self.failing = failing
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler(pages, collect))
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Front:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def take(self, request: Request) -> Answer:
        """What a request is answered."""
        theirs = next((one for one in protocols() if one.matches(request)), None)
        if theirs is None:
            self.unknown.append(f"{request.method} {request.path}")
            return Answer(404)
        told = theirs.read(request)
        if isinstance(told, Answer):
            return told
        if self.failing:
            self.failing -= 1
            return Answer(503, headers={"Retry-After": "1"})
        key = theirs.key(request)
        items = [item.carefully() if isinstance(item, Written) else item for item in told]
        self.told += [(key, item) for item in items]
        results = [Result(item.reason, item.detail) if isinstance(item, Refused) else Result() for item in items]
        return theirs.answer(request, items, results)

    def _handler(self, pages: Path | None, collect: str) -> type[BaseHTTPRequestHandler]:
        front = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                """Say nothing."""

            def do_GET(self) -> None:
                page = pages / urlsplit(self.path).path.lstrip("/") if pages is not None else None
                if page is not None and page.suffix in (".html", ".js") and page.is_file():
                    kind = "text/html" if page.suffix == ".html" else "text/javascript"
                    body = page.read_bytes()
                    if collect and page.suffix == ".html":
                        body = body.replace(b"location.origin", json.dumps(collect).encode())
                    self._send(Answer(200, body, kind))
                elif urlsplit(self.path).path == "/favicon.ico":
                    self._send(Answer(204))
                else:
                    self.do_POST()

            def do_POST(self) -> None:
                parts = urlsplit(self.path)
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self.rfile.read(int(headers.get("content-length", "0")))
                if headers.get("content-encoding") == "gzip":
                    body = gzip.decompress(body)
                query = parse_qsl(parts.query, keep_blank_values=True)
                now = int(time.time() * 1000)
                self._send(front.take(Request(self.command, parts.path, query, headers, body, now, "127.0.0.1")))

            def do_OPTIONS(self) -> None:
                self._send(Answer(204))

            def _send(self, answer: Answer) -> None:
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                if answer.status != 204:
                    self.send_header("Content-Type", answer.content_type)
                    self.send_header("Content-Length", str(len(answer.body)))
                # Node uses a connection again that it was not told to be closed, and loses what it sends on it.
                self.send_header("Connection", "close")
                self.send_header("Access-Control-Allow-Origin", self.headers.get("Origin", "*"))
                self.send_header("Access-Control-Allow-Credentials", "true")
                self.send_header("Access-Control-Allow-Methods", "GET, POST")
                asked = self.headers.get("Access-Control-Request-Headers")
                if asked:
                    self.send_header("Access-Control-Allow-Headers", asked)
                self.end_headers()
                if answer.status != 204:
                    self.wfile.write(answer.body)

        return Handler
