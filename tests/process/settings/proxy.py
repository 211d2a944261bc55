"""An HTTP proxy that connects to where it is asked (RFC 9110, 9.3.6), and remembers it."""

import asyncio
import re
from base64 import b64decode
from contextlib import AbstractAsyncContextManager, closing

from tests.listener import listener
from tests.tls.terminator import pipe

_SENT = re.compile(r"^proxy-authorization: basic (\S+)", re.IGNORECASE | re.MULTILINE)


class Proxy:
    """`targets` are the hosts and ports that clients asked for, `credentials` the user and password that they sent."""

    def __init__(self) -> None:
        self.targets: set[str] = set()
        self.credentials: set[str] = set()

    def running(self) -> AbstractAsyncContextManager[int]:
        return listener(self._serve)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        method, target, rest = (await reader.readuntil(b"\r\n\r\n")).decode().split(" ", 2)
        assert method == "CONNECT"
        self.targets.add(target)
        if sent := _SENT.search(rest):
            self.credentials.add(b64decode(sent[1]).decode())
        host, _, port = target.rpartition(":")
        behind = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connected\r\n\r\n")
        with closing(behind[1]):
            await asyncio.gather(pipe(reader, behind[1]), pipe(behind[0], writer))
