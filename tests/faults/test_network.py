"""Clients that go away, and a network that says nothing."""

import asyncio
import time

import pytest

from tests.faults.connection import Connection
from tests.faults.figures import FULL, Figures
from tests.faults.load import PRODUCTS
from tests.faults.proxy import Proxy
from tests.faults.trial import PATIENT, Trial, refused_in

RATE = 40
CUTS = 5000 if FULL else 1500
SILENT_SECONDS = 30.0 if FULL else 8.0
HEALED_SECONDS = 10.0
FILES = 10  # that a process may have open beyond those of before: the rest of its connections to PostgreSQL


@pytest.mark.parametrize("count", [200, pytest.param(CUTS, marks=pytest.mark.fault, id="many")])
async def test_clients_that_go_away_leave_nothing_behind(trial: Trial, figure: Figures, count: int) -> None:
    await trial.serve(1, PATIENT)
    replica = trial.replicas[0]
    before = replica.files()
    async with trial.load(rate=RATE).running():
        places = asyncio.Semaphore(20)
        await asyncio.gather(*(_go_away(trial, places, number) for number in range(count)))
    async with asyncio.timeout(30):
        while (more := max(0, replica.files() - before)) > FILES:  # noqa: ASYNC110  # of the kernel
            await asyncio.sleep(0.1)
    trial.only(lambda _: False, "others went away, not this client")
    figure("disconnects-open-files", more, FILES, unit="more than before")
    await trial.judge()


async def _go_away(trial: Trial, places: asyncio.Semaphore, number: int) -> None:
    """Send a part of a request, or all of it, and vanish before the answer is read."""
    async with places:
        connection = await Connection.open(trial.replicas[0].port)
        headers = {**trial.headers, "Content-Type": "application/json"}
        if trial.dice.random() < 0.5:
            connection.send("GET", f"{PRODUCTS}?limit=50", headers)
        else:
            connection.send_part(
                trial.dice.random(), "POST", PRODUCTS, headers, trial.product(f"GONE-{number}")
            )
        await asyncio.sleep(trial.dice.uniform(0, 0.01))
        if trial.dice.random() < 0.5:
            connection.reset()
        else:
            connection.close()


@pytest.mark.fault
async def test_silent_network_is_given_up_and_heals(trial: Trial, figure: Figures) -> None:
    timeout = 2.0
    async with Proxy(trial.database_endpoint) as way:
        settings = {"database__statement_timeout": timeout - 1, "database__connect_timeout": timeout}
        await trial.serve(1, {**settings, "database__url": trial.database_by(way)})
        async with trial.load(rate=RATE).running():
            await asyncio.sleep(0.5)
            began = time.monotonic()
            way.swallow()
            await asyncio.sleep(SILENT_SECONDS)
            way.heal()
            back = time.monotonic()
            await asyncio.sleep(HEALED_SECONDS)
    trial.only(
        lambda event: refused_in(event, began, back + HEALED_SECONDS, within=timeout + 1),
        "the network was silent",
    )
    failed = trial.history.failures()
    figure("silent-network-refused", max(event.seconds for event in failed), timeout + 1, unit="s")
    figure("silent-network-healed", max(0, max(e.end for e in failed) - back), HEALED_SECONDS, unit="s")
    await trial.judge()
