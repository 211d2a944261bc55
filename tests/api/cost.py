"""What a request costs, in figures that other work on the machine does not change."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from starlette.types import ASGIApp

from service.http.middleware.state import CONTENT

Json = dict[str, Any]


@contextmanager
def counted_calls(*folders: str, but: tuple[str, ...] = ()) -> Iterator[Counter[str]]:
    """Count the calls of Python functions in the block, by the folder that their path contains.

    Calls in the folders of `but` do not count, nor do those of other tasks that run in between. A coroutine counts
    once, however often it goes on after a wait: how often depends on Redis and PostgreSQL.
    """
    calls: Counter[str] = Counter()
    own = _current_task()
    seen: set[FrameType] = set()

    def count(frame: FrameType, event: str, _argument: object) -> None:
        if event == "call" and frame not in seen and _current_task() is own:
            seen.add(frame)
            path = frame.f_code.co_filename
            if not any(folder in path for folder in but):
                calls.update(folder for folder in folders if folder in path)

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def _current_task() -> "asyncio.Task[Any] | None":
    try:
        return asyncio.current_task()
    except RuntimeError:  # outside an event loop
        return None


async def send(
    app: ASGIApp, method: str, path: str, headers: dict[str, str], *, query: str = "", body: bytes = b""
) -> int:
    """Send one request without a server or a client library, and return the status of the answer."""
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
        **({CONTENT: body} if body else {}),  # as the connection announces short content
    }
    statuses: list[int] = []

    async def receive() -> Json:
        return {"type": "http.request", "body": body, "more_body": False}

    async def take(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    await app(scope, receive, take)
    return statuses[0]
