"""A proxy that serves one path of its own, as an ingress does: it passes that path on, or strips it."""

import http.client
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from service.local.ports import LOOPBACK

HOP = {"connection", "keep-alive", "transfer-encoding"}


@contextmanager
def proxy(port: int, prefix: str, *, strips: bool = True, says: bool = False) -> Iterator[int]:
    """The port of a proxy in front of `port`. `says`: it names the prefix in `X-Forwarded-Prefix`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _pass(self) -> None:
            path = self.path
            if not path.startswith(prefix + "/"):
                self.send_error(404, "not the service's")
                return
            fields = {name: value for name, value in self.headers.items() if name.lower() not in HOP}
            if says:
                fields["X-Forwarded-Prefix"] = prefix
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            connection = http.client.HTTPConnection(LOOPBACK, port, timeout=10)
            connection.request(self.command, path.removeprefix(prefix) if strips else path, body, fields)
            answer = connection.getresponse()
            content = answer.read()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in HOP | {"content-length", "date", "server"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            connection.close()

        do_GET = do_POST = do_PATCH = do_OPTIONS = _pass  # noqa: N815  # the library's names

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer((LOOPBACK, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
