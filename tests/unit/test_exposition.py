"""The text that Prometheus scrapes."""

import math

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info, Summary, generate_latest

import service.observability.metrics  # noqa: F401  # it turns `_created` series off
from service.observability.exposition import AT_A_TIME, Exposition


@pytest.fixture
def registry() -> CollectorRegistry:
    """Metrics of each type, with texts that must be escaped."""
    registry = CollectorRegistry()
    counted = Counter("counted", "Has two\nlines and a \\.", ["path", "method"], registry=registry)
    for path in ("/a", 'quote"', "back\\slash", "line\nbreak", "café"):
        counted.labels(path, "GET").inc()
    level = Gauge("level", "A level.", ["kind"], registry=registry)
    for kind, value in {
        "nan": math.nan,
        "high": math.inf,
        "low": -math.inf,
        "large": 1e21,
        "part": 0.1,
    }.items():
        level.labels(kind).set(value)
    Gauge("none", "Without labels.", registry=registry).set(-3)
    Gauge("nothing", "Without children.", ["kind"], registry=registry)
    Histogram("time", "Seconds.", ["path"], registry=registry).labels("/a").observe(0.3)
    Summary("size", "Bytes.", registry=registry).observe(7)
    Info("build", "Version.", registry=registry).info({"version": "1"})
    return registry


async def test_text_is_that_of_the_library(registry: CollectorRegistry) -> None:
    exposition = Exposition(registry)
    for _ in range(2):
        assert await exposition.write() == generate_latest(registry)


async def test_text_follows_values_and_new_series(registry: CollectorRegistry) -> None:
    exposition = Exposition(registry)
    await exposition.write()
    new = Counter("new", "New.", ["path"], registry=registry)
    new.labels("/b").inc(2)
    assert b'new_total{path="/b"} 2.0' in await exposition.write()
    new.labels("/b").inc()
    new.labels("/c").inc()
    assert await exposition.write() == generate_latest(registry)


def test_large_text_lets_others_run(registry: CollectorRegistry) -> None:
    """Counted in turns of the event loop."""
    many = Gauge("many", "Many.", ["n"], registry=registry)
    for number in range(AT_A_TIME):
        many.labels(str(number))
    turns = Exposition(registry).write()
    assert turns.send(None) is None
    with pytest.raises(StopIteration) as ended:
        turns.send(None)
    assert ended.value.value.count(b"many{") == AT_A_TIME
