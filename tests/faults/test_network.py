"""Clients that disappear, and a network that drops everything."""

import asyncio
import time

import pytest

from tests.faults.connection import Connection
from tests.faults.load import ARTICLES
from tests.faults.measurements import FULL, Measurements
from tests.faults.proxy import Proxy
from tests.faults.system import System, refused_in

RATE = 40
CUTS = 5000 if FULL else 1500
SILENT_SECONDS = 30.0 if FULL else 8.0
HEALED_SECONDS = 10.0
FILES = 10  # more files than before that a process may have open: the rest of its connections to PostgreSQL


@pytest.mark.fault
async def test_disconnected_clients_leak_nothing(system: System, measure: Measurements) -> None:
    await system.serve(1)
    replica = system.replicas[0]
    before = replica.files()
    async with system.load(rate=RATE).running():
        places = asyncio.Semaphore(20)
        await asyncio.gather(*(_go_away(system, places, number) for number in range(CUTS)))
    async with asyncio.timeout(30):
        while (more := max(0, replica.files() - before)) > FILES:  # noqa: ASYNC110  # of the kernel
            await asyncio.sleep(0.1)
    system.only(lambda _: False, "others went away, not this client")
    measure("disconnects-open-files", more, FILES, unit="more than before")
    await system.judge()


async def _go_away(system: System, places: asyncio.Semaphore, number: int) -> None:
    """Send part of a request, or all of it, and disappear before reading the response."""
    async with places:
        connection = await Connection.open(system.replicas[0].port)
        headers = {**system.headers, "Content-Type": "application/json"}
        if system.dice.random() < 0.5:
            connection.send("GET", f"{ARTICLES}?limit=50", headers)
        else:
            connection.send_part(
                system.dice.random(), "POST", ARTICLES, headers, system.article(f"GONE-{number}")
            )
        await asyncio.sleep(system.dice.uniform(0, 0.01))
        if system.dice.random() < 0.5:
            connection.reset()
        else:
            connection.close()


@pytest.mark.fault
async def test_unresponsive_network_times_out_and_recovers(system: System, measure: Measurements) -> None:
    timeout = 2.0
    async with Proxy(system.database_endpoint) as way:
        settings = {"database__statement_timeout": timeout - 1, "database__connect_timeout": timeout}
        await system.serve(1, {**settings, "database__url": system.database_by(way)})
        async with system.load(rate=RATE).running():
            await asyncio.sleep(0.5)
            began = time.monotonic()
            way.swallow()
            await asyncio.sleep(SILENT_SECONDS)
            way.heal()
            back = time.monotonic()
            await asyncio.sleep(HEALED_SECONDS)
    system.only(
        lambda event: refused_in(event, began, back + HEALED_SECONDS, within=timeout + 1),
        "the network was silent",
    )
    failed = system.history.failures()
    measure("silent-network-refused", max(event.seconds for event in failed), timeout + 1, unit="s")
    measure("silent-network-healed", max(0, max(e.end for e in failed) - back), HEALED_SECONDS, unit="s")
    await system.judge()
