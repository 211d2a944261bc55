"""The metrics of this process in the text format of Prometheus.

prometheus_client makes the text of each series again for each scrape, which takes 35 ms for 4000 lines. Here it makes
each text once: what changes is the value at its end, and the values are read from the instruments themselves.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, Summary, generate_latest
from prometheus_client.samples import Sample
from prometheus_client.utils import floatToGoString

_number: Callable[[float], str] = floatToGoString
INSTRUMENTS = frozenset({Counter, Gauge, Histogram, Summary})  # which always have the same series
AT_A_TIME = 500  # lines, which take about a millisecond; requests go on in between


@dataclass(frozen=True, slots=True)
class _One:
    """A collector of one metric."""

    metric: Metric

    def collect(self) -> Iterable[Metric]:
        return (self.metric,)


class _Child:
    """The lines of one child of an instrument: all that it has but for the values, and the text as it was last."""

    __slots__ = ("_starts", "_text", "_values")

    def __init__(self, metric: Metric, labels: Mapping[str, str], samples: Iterable[Sample]) -> None:
        named = [
            sample._replace(name=metric.name + sample.name, labels={**labels, **sample.labels})
            for sample in samples
        ]
        self._starts = [_start_of(metric, sample) for sample in named]
        self._values: list[float] = []
        self._text = ""

    def write(self, values: list[float]) -> str:
        """Return the lines. Of most children, nothing has changed since the last scrape."""
        if values != self._values:
            lines = zip(self._starts, values, strict=True)
            self._text = "".join([f"{start} {_number(value)}\n" for start, value in lines])
            self._values = values
        return self._text


class Exposition:
    """Writes the metrics of a registry. What it remembers of each series is bounded as the series are."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self._heads: dict[str, str] = {}
        self._children: dict[tuple[str, ...], _Child] = {}

    async def write(self) -> bytes:
        """Return the text, as `generate_latest` does."""
        parts: list[str] = []
        lines, pause = 0, AT_A_TIME
        for collector in [*self._registry._collector_to_names]:  # noqa: SLF001
            for part, size in self._parts(collector):
                parts.append(part)
                lines += size
                if lines > pause:
                    pause = lines + AT_A_TIME
                    await asyncio.sleep(0)
        return "".join(parts).encode()

    def _parts(self, collector: Any) -> Iterator[tuple[str, int]]:
        """Yield the text of a collector in parts, each with its number of lines."""
        if type(collector) not in INSTRUMENTS:
            for whole in collector.collect():
                yield _text(whole, whole.samples), len(whole.samples)
            return
        metric: Metric = collector._get_metric()  # noqa: SLF001
        yield self._head(metric), 1
        names = collector._labelnames  # noqa: SLF001
        children = collector._metrics.copy() if names else {(): collector}  # noqa: SLF001
        for labels, child in children.items():
            values = _values(child)
            key = (metric.name, *labels)
            known = self._children.get(key)
            if known is None:
                samples = child._child_samples()  # noqa: SLF001
                known = self._children[key] = _Child(metric, dict(zip(names, labels, strict=True)), samples)
            yield known.write(values), len(values)

    def _head(self, metric: Metric) -> str:
        head = self._heads.get(metric.name)
        if head is None:
            head = self._heads[metric.name] = _text(metric, [])
        return head


def _values(child: Any) -> list[float]:
    """Return the values of the samples of a child, in their order."""
    if type(child) is not Histogram:
        return [sample.value for sample in child._child_samples()]  # noqa: SLF001
    # The library makes a text of each bound.
    counts = accumulate(bucket.get() for bucket in child._buckets)  # noqa: SLF001
    values = [*counts]
    values.append(values[-1])
    if child._upper_bounds[0] >= 0:  # noqa: SLF001
        values.append(child._sum.get())  # noqa: SLF001
    return values


def _start_of(metric: Metric, sample: Sample) -> str:
    """Return the line of a sample without its value."""
    return _text(metric, [sample]).removesuffix("\n").rpartition("\n")[2].rpartition(" ")[0]


def _text(metric: Metric, samples: list[Sample]) -> str:
    one = Metric(metric.name, metric.documentation, metric.type)
    one.samples = samples
    return generate_latest(_One(one)).decode()
