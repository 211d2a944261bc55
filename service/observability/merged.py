"""Sums the metrics of several workers. Each worker writes its own files."""

from collections.abc import Iterable, Iterator
from os import scandir as scan
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector


class MergedMetrics(Collector):
    """The sums over all files of a folder.

    prometheus_client reads each file that it finds, and fails on the empty file of a worker that is just starting.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        return MultiProcessCollector.merge([*self._files()])  # type: ignore[no-untyped-call, no-any-return]

    def _files(self) -> Iterator[str]:
        with scan(self._folder) as entries:
            for entry in entries:
                try:
                    if entry.name.endswith(".db") and entry.stat().st_size:
                        yield entry.path
                except FileNotFoundError:  # live gauges of a worker that has just ended
                    continue

    def write(self) -> bytes:
        """Return the text, as `generate_latest` does. It reads files, so call it in a thread."""
        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry)
