"""An application with hand-written routes, served by uvicorn with our protocol from a thread of this process."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx2
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from service.dev.free_ports import LOOPBACK
from service.http.protocol.connection import limited
from service.http.protocol.limits import Limits
from service.http.server.listeners import listen
from tests.process.served import eventually


class Line(BaseModel):
    sku: str
    count: int = Field(default=1, alias="pieces")


class Bag(BaseModel):
    model_config = ConfigDict(extra="allow")
    size: int = 1


class Order(BaseModel):
    number: str
    lines: list[Line] = []
    bag: Bag = Bag()
    either: Line | int = 0


@dataclass(frozen=True)
class Running:
    """The server's port, and a client of it."""

    port: int
    api: httpx2.Client


@contextmanager
def served(app: FastAPI) -> Iterator[Running]:
    """Run the application through its ASGI lifespan."""
    settings = app.state.settings.server
    listener = listen(LOOPBACK, 0, 64)
    config = uvicorn.Config(
        app,
        http=limited(Limits.of(settings)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        assert eventually(lambda: server.started, seconds=30)
        port: Any = listener.getsockname()[1]
        with httpx2.Client(base_url=f"http://{LOOPBACK}:{port}", timeout=10) as client:
            yield Running(port, client)
    finally:
        server.should_exit = True
        thread.join(20)
        listener.close()
