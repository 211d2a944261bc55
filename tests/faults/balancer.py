"""A load balancer in front of replicas: each connection goes to the next ready replica, as with a Kubernetes Service.

It works at the TCP level and never retries, so every failure of a replica reaches the client. While no replica is
ready, it uses all of them, as Envoy does, so that clients get the error of the service.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Self

from service.dev.free_ports import LOOPBACK
from tests.faults.connection import get
from tests.faults.proxy import Endpoint, Proxy
from tests.faults.replica import Replica

POLL_SECONDS = 0.1


class Balancer(Proxy):
    """`replicas` returns the current replicas."""

    def __init__(self, replicas: Callable[[], Sequence[Replica]]) -> None:
        super().__init__(None)
        self._replicas = replicas
        self._ready: list[Endpoint] = []
        self._turn = 0

    async def __aenter__(self) -> Self:
        await self._look()
        self._looking = asyncio.create_task(self._keep_looking())
        return await super().__aenter__()

    async def __aexit__(self, *_: object) -> None:
        self._looking.cancel()
        await super().__aexit__()

    def pick(self) -> Endpoint | None:
        choice = self._ready or [Endpoint(LOOPBACK, replica.port) for replica in self._replicas()]
        self._turn += 1
        return choice[self._turn % len(choice)] if choice else None

    def uses(self, replica: Replica) -> bool:
        """Whether the replica gets connections now."""
        return Endpoint(LOOPBACK, replica.port) in self._ready

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(POLL_SECONDS)
            await self._look()

    async def _look(self) -> None:
        replicas = [*self._replicas()]
        responses = await asyncio.gather(*(get(replica.admin_port, "/readyz") for replica in replicas))
        self._ready = [
            Endpoint(LOOPBACK, replica.port)
            for replica, response in zip(replicas, responses, strict=True)
            if response is not None and response.status == 200
        ]
