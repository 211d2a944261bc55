"""Responses to HTTP/1.0, which has no transfer coding (RFC 9112, 6.1)."""

import asyncio
import socket
import struct

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle


def unchunked(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Wrap `app` so that responses without a length end when the connection closes (RFC 9112, 6.3, rule 8).

    uvicorn would send them in chunks. An incomplete response resets the connection: a plain close would make it look
    complete.
    """
    cycle.scope["extensions"] = {}  # none: whole responses would pass by what follows

    async def answering(scope: Scope, receive: Receive, send: Send) -> None:
        delimited_by_close = False

        async def send_unchunked(message: Message) -> None:
            nonlocal delimited_by_close
            if message["type"] == "http.response.start":
                headers = [h for h in message.get("headers", ()) if h[0].lower() != b"transfer-encoding"]
                message = {**message, "headers": headers}
                delimited_by_close = all(name.lower() != b"content-length" for name, _ in headers)
                if delimited_by_close:
                    cycle.chunked_encoding = False
            elif delimited_by_close:
                cycle.expected_content_length = len(message.get("body", b""))
            await send(message)

        try:
            await app(scope, receive, send_unchunked)
        finally:
            if delimited_by_close and not cycle.response_complete:
                _reset(cycle.transport)

    return answering


def _reset(transport: asyncio.Transport) -> None:
    """Reset the connection: with a linger time of zero, the socket sends RST instead of FIN (socket(7))."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()
