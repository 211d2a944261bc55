"""The metrics of several workers, which each writes to files of its own, summed."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from prometheus_client import CollectorRegistry, Metric, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable of the environment that tells prometheus_client to write files, and where."""


class MergedMetrics(Collector):
    """The sums over all files of a folder.

    prometheus_client reads each file that it finds. One that a worker has created a moment ago is still empty, which it
    takes for an error.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def collect(self) -> Iterable[Metric]:
        return MultiProcessCollector.merge([*self._files()])  # type: ignore[no-untyped-call, no-any-return]

    def _files(self) -> Iterator[str]:
        with os.scandir(self._folder) as entries:
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
