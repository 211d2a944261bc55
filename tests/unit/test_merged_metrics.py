"""A scrape with several workers while some of them start and end."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.mmap_dict import MmapedDict, mmap_key

from service.observability import merged
from service.observability.merged import MergedMetrics


def write(file: Path, value: float) -> None:
    values: Any = MmapedDict(str(file))  # type: ignore[no-untyped-call]
    values.write_value(mmap_key("orders", "orders_total", [], [], "Orders."), value, 0.0)
    values.close()


def test_file_of_a_worker_that_starts_or_ends_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "counter_1.db", 3)
    write(tmp_path / "counter_2.db", 4)
    (tmp_path / "counter_3.db").touch()  # of a worker that has just created it
    (tmp_path / "gauge_livesum_4.db").touch()

    @contextmanager
    def scan(folder: Path) -> Iterator[Iterator[os.DirEntry[str]]]:
        with os.scandir(folder) as entries:
            found = [*entries]
        (tmp_path / "gauge_livesum_4.db").unlink()  # the master removes it in between
        yield iter(found)

    monkeypatch.setattr(merged, "scan", scan)
    assert b"\norders_total 7.0\n" in MergedMetrics(tmp_path).write()
