"""The cache in a process: lifetimes, shared loads, bounds, and loads that a change overtakes."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import structlog
from prometheus_client import REGISTRY

from service import clock
from service.cache.loading_cache import LoadingCache
from service.cache.memory import OVERHEAD, Memory


class Source:
    """What is cached, a load of which ends on command."""

    def __init__(self) -> None:
        self.value: str | None = "first"
        self.loads = 0
        self.open = asyncio.Event()
        self.open.set()

    async def load(self) -> str | None:
        self.loads += 1
        value = self.value  # a statement sees what was committed when it began
        await self.open.wait()
        return value

    @contextmanager
    def held(self) -> Iterator[None]:
        self.open.clear()
        yield
        self.open.set()


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time; the last element counts."""
    times = [100.0]
    monkeypatch.setattr(clock, "monotonic", lambda: times[-1])
    return times


def cache(name: str, *, memory: Memory | None = None, stale: float = 0) -> LoadingCache[str, str]:
    return LoadingCache(name, memory or Memory(100_000), seconds=1, stale=stale, size=len)


async def test_value_lives_from_the_beginning_of_its_load(source: Source, now: list[float]) -> None:
    values = cache("life")
    with source.held():
        loading = asyncio.create_task(values.get("key", source.load))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        now.append(100.85)
    assert await loading == "first"
    source.value = "second"
    assert await values.get("key", source.load) == "first"
    now.append(101.0)  # a second after the load began
    assert await values.get("key", source.load) == "second"
    assert source.loads == 2


@pytest.mark.parametrize("way", ["drop", "clear", "reload"])
async def test_load_that_began_before_a_change_is_neither_kept_nor_shared(source: Source, way: str) -> None:
    values = cache(f"race-{way}")
    with source.held():
        before = asyncio.create_task(values.get("key", source.load))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        source.value = "second"
        if way == "drop":
            values.drop("key")
        elif way == "clear":
            values.clear()
        after = asyncio.create_task(values.get("key", source.load, reload=way == "reload"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert (await before, await after) == ("first", "second")
    assert await values.get("key", source.load) == "second"
    assert source.loads == 2


@pytest.mark.parametrize("way", ["drop", "clear"])
async def test_load_that_a_change_overtook_is_not_kept(source: Source, way: str) -> None:
    """Also without a later caller, whose load would replace it."""
    values = cache(f"overtaken-{way}")
    with source.held():
        before = asyncio.create_task(values.get("key", source.load))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        source.value = "second"
        if way == "drop":
            values.drop("key")
        else:
            values.clear()
    assert await before == "first"
    assert await values.get("key", source.load) == "second"


async def test_absent_value_is_not_kept_and_not_shared(source: Source) -> None:
    values = cache("absent")
    source.value = None
    with source.held():
        early = asyncio.create_task(values.get("key", source.load))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        source.value = "made"  # a creation tells nobody: the late caller must look again
        late = asyncio.create_task(values.get("key", source.load))
        await asyncio.sleep(0)
    assert (await early, await late) == (None, "made")


async def test_hundred_callers_share_one_load(source: Source) -> None:
    values = cache("crowd")
    assert set(await asyncio.gather(*(values.get("key", source.load) for _ in range(100)))) == {"first"}
    assert source.loads == 1


async def test_stale_value_is_given_while_one_load_renews_it(source: Source, now: list[float]) -> None:
    values = cache("stale", stale=5)
    await values.get("key", source.load)
    source.value = "second"
    now.append(102)
    assert [await values.get("key", source.load) for _ in range(3)] == ["first"] * 3
    await asyncio.sleep(0.01)
    assert await values.get("key", source.load) == "second"
    assert source.loads == 2
    now.append(107.85)  # at the end of what is stale, five seconds after nine tenths of the lifetime
    source.value = "third"
    assert await values.get("key", source.load) == "second"
    now.append(114)  # too old even for stale
    source.value = "fourth"
    assert await values.get("key", source.load) == "fourth"


async def test_value_that_cannot_be_renewed_stays_stale_and_is_logged(
    source: Source, now: list[float]
) -> None:
    values = cache("kept", stale=5)
    await values.get("key", source.load)

    async def fail() -> str:
        raise LookupError("a secret")

    now.append(102)
    with structlog.testing.capture_logs() as lines:
        assert [await values.get("key", fail) for _ in range(2)] == ["first"] * 2
        await asyncio.sleep(0.01)
    assert lines == [
        {
            "event": "a cached value cannot be renewed",
            "cache": "kept",
            "reason": "LookupError",
            "log_level": "warning",
        }
    ]


async def test_renewed_value_takes_the_room_of_the_one_before(source: Source, now: list[float]) -> None:
    memory = Memory(100_000)
    values = cache("renewed", memory=memory, stale=5)
    for later in range(3):
        now.append(100 + 2 * later)
        await values.get("key", source.load)
        await asyncio.sleep(0.01)
    assert source.loads == 3
    assert memory.used == OVERHEAD + len("first")


async def test_each_look_up_counts_by_its_result(source: Source, now: list[float]) -> None:
    values = cache("counted", stale=5)

    def counts() -> dict[str, float | None]:
        return {
            result: REGISTRY.get_sample_value(
                "slipway_cache_requests_total", {"cache": "counted", "result": result}
            )
            for result in ("hit", "miss", "shared", "stale")
        }

    await asyncio.gather(*(values.get("key", source.load) for _ in range(3)))
    assert counts() == {"hit": 0, "miss": 1, "shared": 2, "stale": 0}
    await values.get("key", source.load)
    now.append(102)
    await values.get("key", source.load)
    assert counts() == {"hit": 1, "miss": 1, "shared": 2, "stale": 1}
    values.drop("key")
    values.clear()
    assert REGISTRY.get_sample_value("slipway_cache_invalidations_total", {"cache": "counted"}) == 2


async def test_lifetimes_are_shortened_by_different_parts(source: Source, now: list[float]) -> None:
    """Or else values that were loaded together would be loaded together again."""
    values = cache("lives")
    for key in range(20):
        await values.get(str(key), source.load)
    now.append(100.95)
    for key in range(20):
        await values.get(str(key), source.load)
    assert 20 < source.loads < 40
    now.append(100.89)  # at least nine tenths of the lifetime
    loads = source.loads
    for key in range(20):
        await values.get(str(key), source.load)
    assert source.loads == loads


async def test_memory_drops_what_was_used_least_recently(source: Source) -> None:
    memory = Memory(3 * (OVERHEAD + 5))
    values = cache("bound", memory=memory)
    for key in ("a", "b", "c", "a", "d"):  # "b" is the oldest when "d" comes
        await values.get(key, source.load)
    assert source.loads == 4
    for key, loads in (("a", 4), ("d", 4), ("b", 5)):
        await values.get(key, source.load)
        assert source.loads == loads, key
    source.value = "x" * 10_000
    await values.get("large", source.load)
    await values.get("b", source.load)
    assert source.loads == 6, "a value larger than the memory must not empty it"
    assert memory.used <= memory.size


async def test_close_ends_the_loads(source: Source) -> None:
    values = cache("closed")
    with source.held():
        loading = asyncio.create_task(values.get("key", source.load))
        await asyncio.sleep(0)
        await values.close()
        with pytest.raises(asyncio.CancelledError):
            await loading


async def test_memory_has_room_again_for_what_was_dropped(source: Source) -> None:
    memory = Memory(OVERHEAD + 5)  # one value fits exactly
    values = cache("room", memory=memory)
    for _ in range(3):
        await values.get("key", source.load)
        assert memory.used == memory.size
        values.drop("key")
        assert memory.used == 0
    assert source.loads == 3


async def test_caches_of_one_memory_keep_values_apart(source: Source) -> None:
    memory = Memory(100_000)
    await cache("apart", memory=memory).get("key", source.load)
    source.value = "other"
    assert await cache("apart-too", memory=memory).get("key", source.load) == "other"


async def test_failed_load_is_not_kept(source: Source) -> None:
    values = cache("failed")

    async def fail() -> str:
        raise LookupError

    with pytest.raises(LookupError):
        await values.get("key", fail)
    assert await values.get("key", source.load) == "first"
