"""S3 servers: moto's in a process of its own, which keeps objects in memory, and one that only records requests."""

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ssl import SSLContext
from urllib.request import Request, urlopen

from service.dev.free_ports import LOOPBACK
from tests.listener import listener
from tests.ports import next_port
from tests.process.served import eventually

BUCKET = "backups"
# moto wants to know who asks, and does not compare the signature.
OWNER = "AWS4-HMAC-SHA256 Credential=AK/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"

REFUSAL = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class S3Server:
    """A running server with one bucket."""

    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, method: str, path: str, content: bytes | None = None) -> bytes:
        """Return the body of a response. Raises `OSError`, also for an error status."""
        headers = {"Authorization": OWNER, "Content-Type": "application/octet-stream"}
        asked = Request(f"http://{LOOPBACK}:{self.port}{path}", content, headers, method=method)
        with urlopen(asked, timeout=30) as response:
            body: bytes = response.read()
            return body

    def names(self) -> list[str]:
        """Return the names of all objects, and the ids of unfinished uploads."""
        found = []
        for query, tag in (("list-type=2", "Key"), ("uploads", "UploadId")):
            text = self.ask("GET", f"/{BUCKET}?{query}").decode()
            found += [piece.partition("<")[0] for piece in text.split(f"<{tag}>")[1:]]
        return found

    def empty(self) -> None:
        """Forget everything, and make the bucket."""
        self.ask("POST", "/moto-api/reset")
        self.ask("PUT", f"/{BUCKET}")


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server and stop it at the end."""
    server = S3Server(next_port())
    program = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", LOOPBACK, "-p", str(server.port)]
    process = subprocess.Popen(program, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert eventually(lambda: _is_up(server), seconds=60)
        yield server
    finally:
        process.kill()
        process.wait()


def _is_up(server: S3Server) -> bool:
    with contextlib.suppress(OSError):
        return bool(server.ask("GET", "/moto-api/"))
    return False


@asynccontextmanager
async def recording(heads: list[dict[str, str]], *, context: SSLContext | None = None) -> AsyncIterator[int]:
    """Run a server that refuses every request and records its head: the headers, and the first line as `line`. Yields
    its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, _, value in (one.partition(": ") for one in lines)}
        heads.append({"line": line, **headers})
        writer.write(REFUSAL)
        await writer.drain()

    async with listener(talk, ssl=context) as port:
        yield port
