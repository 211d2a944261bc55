"""A proxy that serves the service under a path, as an ingress does: it forwards the path, or strips it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

from service.dev.free_ports import LOOPBACK

OF_A_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class _Handler(BaseHTTPRequestHandler):
    """Forwards a request to `upstream`, and returns the response."""

    protocol_version = "HTTP/1.1"
    upstream: ClassVar[int]
    prefix: ClassVar[str]
    strips: ClassVar[bool]
    says: ClassVar[bool]

    def _pass(self) -> None:
        path = self.path
        if not path.startswith(self.prefix + "/"):
            self.send_error(404, "not the service's")
            return
        fields = {name: value for name, value in self.headers.items() if name.lower() not in OF_A_HOP}
        if self.says:
            fields["X-Forwarded-Prefix"] = self.prefix
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        connection = http.client.HTTPConnection(LOOPBACK, self.upstream, timeout=10)
        target = path.removeprefix(self.prefix) if self.strips else path
        connection.request(self.command, target, body, fields)
        self._relay(connection.getresponse())
        connection.close()

    def _relay(self, response: http.client.HTTPResponse) -> None:
        content = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in OF_A_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST = do_PATCH = do_OPTIONS = _pass  # noqa: N815  # the library's names

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def proxy(port: int, prefix: str, *, strips: bool = True, says: bool = False) -> Iterator[int]:
    """The port of a proxy in front of `port`. `says`: it names the prefix in `X-Forwarded-Prefix`."""
    members = {"upstream": port, "prefix": prefix, "strips": strips, "says": says}
    server = ThreadingHTTPServer((LOOPBACK, 0), type("Handler", (_Handler,), members))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
