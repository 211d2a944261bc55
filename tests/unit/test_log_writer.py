"""The log buffer: no line is lost at exit, and code that logs cannot deadlock."""

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

import pytest

from service.observability import writer
from service.observability.writer import LineWriter


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_last_lines_are_written_before_exit(pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    reader, out = pipe
    monkeypatch.setattr(writer, "GATHER_SECONDS", 0.3)
    lines = LineWriter(out, most=1000, notice=lambda _: b"")
    written = os.write

    def write(descriptor: int, chunk: bytes) -> int:
        if chunk == b"one\n":  # write the second line while the first is being written
            lines.write(b"two\n")
        return written(descriptor, chunk)

    monkeypatch.setattr(os, "write", write)
    lines.write(b"one\n")
    found = b""
    while not found.endswith(b"two\n"):
        found += os.read(reader, 100)
    time.sleep(0.1)  # the thread has written everything and waits for more
    lines.write(b"three\n")
    lines.flush()
    os.set_blocking(reader, False)
    assert os.read(reader, 100) == b"three\n"


def test_burst_is_written_before_the_buffer_is_full(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    reader, out = pipe
    monkeypatch.setattr(writer, "GATHER_SECONDS", 60)
    lines = LineWriter(out, most=1000, notice=lambda _: b"dropped\n")
    for _ in range(6):
        lines.write(b"x" * 99 + b"\n")
    assert select.select([reader], [], [], 10)[0]
    lines.flush()
    assert os.read(reader, 10_000).count(b"\n") == 6


def test_logging_in_a_signal_handler_does_not_deadlock(
    pipe: tuple[int, int],
) -> None:
    reader, out = pipe

    def notice(_: int) -> bytes:
        signal.raise_signal(signal.SIGUSR1)  # while the lock is held
        return b"notice\n"

    def handle(_signal: int, _frame: FrameType | None) -> None:
        lines.write(b"signal\n")

    lines = LineWriter(out, most=20, notice=notice)
    before = signal.signal(signal.SIGUSR1, handle)
    watch = threading.Timer(10, os._exit, [1])
    watch.start()
    try:
        lines.write(b"x" * 30)  # dropped
        lines.write(b"line\n")
    finally:
        watch.cancel()
        signal.signal(signal.SIGUSR1, before)
    lines.flush()
    assert sorted(os.read(reader, 100).splitlines()) == [b"line", b"notice", b"signal"]
