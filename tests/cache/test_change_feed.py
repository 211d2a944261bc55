"""Two processes on one Redis: what one changes, the other one hears of."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import pytest
from prometheus_client import REGISTRY
from redis.asyncio import Redis as Client

from service.cache import subscription
from service.cache.change_feed import ChangeFeed
from service.cache.redis_client import NoRedis, Redis
from service.config import RedisSettings
from service.database.row_changes import MOST_ROWS, RowChanges
from service.dev.free_ports import LOOPBACK
from tests.faults.proxy import Endpoint, Proxy

Heard = list[set[str] | None]


class Process:
    """A feed that listens, and what its watcher has heard."""

    def __init__(self, url: str, name: str) -> None:
        self.redis = Redis(RedisSettings.model_validate({"url": url, "timeout": 5}))
        self.feed = ChangeFeed(self.redis, name)
        self.heard: Heard = []
        self.feed.watch("lamp", self.heard.append)
        self.listening = self.listen()

    def listen(self) -> asyncio.Task[None]:
        """Run the feed's job once."""
        (job,) = self.feed.jobs

        async def run() -> None:
            await job.work()

        return asyncio.create_task(run())

    async def change(self, **rows: set[str]) -> None:
        telling = self.feed.announce(RowChanges(rows))
        assert telling is not None
        await telling

    async def close(self) -> None:
        self.listening.cancel()
        await asyncio.gather(self.listening, return_exceptions=True)
        await self.redis.close()


@pytest.fixture
async def processes(redis_url: str, request: pytest.FixtureRequest) -> AsyncIterator[list[Process]]:
    made = [Process(redis_url, request.node.name) for _ in range(2)]
    for process in made:
        await until_heard(process, [None])  # it may have missed changes
    yield made
    for process in made:
        await process.close()


async def until_heard(process: Process, heard: Heard) -> None:
    async with asyncio.timeout(20):
        while process.heard != heard:  # noqa: ASYNC110  # the watcher tells nobody
            await asyncio.sleep(0.01)


async def test_change_is_heard_once_here_and_there(processes: list[Process]) -> None:
    here, there = processes
    await here.change(lamp={"a", "b"}, chair={"c"})
    assert here.heard == [None, {"a", "b"}]
    await until_heard(there, [None, {"a", "b"}])
    await there.change(lamp={"d"})
    await until_heard(here, [None, {"a", "b"}, {"d"}])


async def test_table_without_watcher_is_not_published(processes: list[Process]) -> None:
    assert processes[0].feed.announce(RowChanges(chair={"c"})) is None


@pytest.mark.parametrize(
    "content", [b"\xff", b"[]", b"{}", b'{"by":"x","rows":[1]}', b'{"by":"x","rows":{"lamp":5}}']
)
async def test_foreign_content_of_the_channel_is_ignored(
    processes: list[Process], redis_url: str, request: pytest.FixtureRequest, content: bytes
) -> None:
    async with Client.from_url(redis_url) as client:
        assert await client.publish(f"slipway:changes:{request.node.name}", content) == 2
    await processes[0].change(lamp={"after"})
    await until_heard(processes[1], [None, {"after"}])


async def test_message_may_arrive_in_pieces(processes: list[Process]) -> None:
    rows = {f"row-{number:05}" * 20 for number in range(MOST_ROWS)}  # more than one segment of TCP
    await processes[0].change(lamp=rows)
    await until_heard(processes[1], [None, rows])


async def test_silent_redis_is_noticed_and_a_quiet_one_is_not(
    redis_url: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subscription, "PING_SECONDS", 0.05)
    monkeypatch.setattr(subscription, "SILENCE_SECONDS", 0.5)
    url = urlsplit(redis_url)
    async with Proxy(Endpoint(LOOPBACK, url.port or 0)) as way:
        there = urlunsplit(url._replace(netloc=f":{url.password}@{LOOPBACK}:{way.port}"))
        process = Process(there, request.node.name)
        await until_heard(process, [None])
        await asyncio.sleep(0.8)
        assert not process.listening.done()
        way.swallow()
        await asyncio.wait_for(process.listening, 20)
        await process.close()


async def test_process_that_lost_its_connection_forgets_everything(
    processes: list[Process], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = processes[0]
    monkeypatch.setattr(subscription, "SILENCE_SECONDS", 3600)
    assert REGISTRY.get_sample_value("slipway_cache_feed_up") == 1
    async with Client.from_url(redis_url) as client:
        await client.client_kill_filter(_type="pubsub")
    await asyncio.wait_for(here.listening, 20)  # the job runs again
    assert REGISTRY.get_sample_value("slipway_cache_feed_up") == 0
    here.listening = here.listen()
    await until_heard(here, [None, None])


def test_large_change_is_one_of_the_whole_table() -> None:
    changes = RowChanges()
    for number in range(MOST_ROWS + 2):
        changes.add("lamp", str(number))
    changes.add("chair", "1")
    assert changes.take() == {"lamp": None, "chair": {"1"}}
    assert changes == {}


async def test_without_redis_only_the_own_watchers_hear_of_a_change() -> None:
    feed, heard, heard_too = ChangeFeed(NoRedis(), "alone"), Heard(), Heard()
    feed.watch("lamp", heard.append)
    feed.watch("lamp", heard_too.append)
    telling = feed.announce(RowChanges(lamp={"a"}))
    assert telling is not None
    await telling
    assert (heard, heard_too, feed.jobs) == ([{"a"}], [{"a"}], ())
