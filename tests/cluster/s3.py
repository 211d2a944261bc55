"""An S3 server that keeps objects in memory and lets everybody in: `python s3.py PORT`.

Does what backups need of Amazon S3: PutObject, GetObject, DeleteObject and ListObjectsV2, with path-style addresses.
"""

import hashlib
import sys
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

ENTRY = (
    "<Contents><Key>{}</Key><Size>{}</Size><ETag>&quot;{}&quot;</ETag>"
    "<LastModified>{:%Y-%m-%dT%H:%M:%S.000Z}</LastModified></Contents>"
)
LIST = "<ListBucketResult><IsTruncated>false</IsTruncated>{}</ListBucketResult>"

Stored = tuple[bytes, datetime]
objects: dict[str, Stored] = {}


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        objects[self._key()] = content, datetime.now(UTC)
        self._respond(200, b"", objects[self._key()])

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "list-type" in query:
            self._respond(200, _listed(query.get("prefix", [""])[0]))
        elif stored := objects.get(self._key()):
            self._respond(200, stored[0], stored)
        else:
            self._respond(404, b"<Error><Code>NoSuchKey</Code><Message>no such key</Message></Error>")

    def do_DELETE(self) -> None:
        objects.pop(self._key(), None)
        self._respond(204, b"")

    def _key(self) -> str:
        """Return the key without the bucket."""
        return unquote(urlsplit(self.path).path).lstrip("/").partition("/")[2]

    def _respond(self, status: int, body: bytes, stored: Stored | None = None) -> None:
        self.send_response(status)
        if stored:
            self.send_header("ETag", _tag(stored[0]))
            self.send_header("Last-Modified", format_datetime(stored[1], usegmt=True))
        if status != 204:  # RFC 9110, section 8.6
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _tag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()}"'


def _listed(prefix: str) -> bytes:
    found = [
        ENTRY.format(escape(key), len(content), _tag(content).strip('"'), at)
        for key, (content, at) in sorted(objects.items())
        if key.startswith(prefix)
    ]
    return LIST.format("".join(found)).encode()


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(sys.argv[1])), Handler).serve_forever()
