"""Instruments count as prometheus_client does, which they bypass."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.observability.instruments import adder, observer

BOUNDS = (0.005, 1.0)
SECONDS = (0.0, 0.004, 0.005, 0.0051, 1.0, 7.5, 60.0)


def instruments() -> tuple[CollectorRegistry, Histogram, Counter]:
    registry = CollectorRegistry()
    return (
        registry,
        Histogram("took_seconds", "Time", buckets=BOUNDS, registry=registry),
        Counter("done", "Number", registry=registry),
    )


def shown(registry: CollectorRegistry) -> list[str]:
    lines = generate_latest(registry).decode().splitlines()
    return [line for line in lines if "_created" not in line]


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("shared", [True, False])
def test_observer_counts_as_the_library_does(*, shared: bool, counted: bool) -> None:
    (ours, histogram, counter), (theirs, time, number) = instruments(), instruments()
    histogram._sum._multiprocess = shared  # as with several workers
    observe = observer(histogram, counter if counted else None)
    for seconds in SECONDS:
        observe(seconds)
        time.observe(seconds)
        number.inc(counted)
    assert shown(ours) == shown(theirs)


@pytest.mark.parametrize("shared", [True, False])
def test_adder_counts_as_the_library_does(*, shared: bool) -> None:
    (ours, _, counter), (theirs, _, number) = instruments(), instruments()
    counter._value._multiprocess = shared  # as with several workers
    add = adder(counter)
    for some in (1, 0.5, 2):
        add(some)
        number.inc(some)
    assert shown(ours) == shown(theirs)
