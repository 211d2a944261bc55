"""Log output: a bounded buffer and a thread that writes it.

When a log collector stalls, its pipe fills and the next write blocks; in the event loop, that would stop the whole
service. So the loop only puts lines into a buffer. When the buffer is full, new lines are dropped and counted. Once the
collector reads again, one line says how many were dropped.
"""

import atexit
import os
import select
import threading
from collections import deque
from collections.abc import Callable

from prometheus_client import Counter

GATHER_SECONDS = 0.05  # lines are batched: waking the thread costs more than a line
FLUSH_SECONDS = 1.0  # how long the exit of a process waits for unwritten lines
ATOMIC_BYTES = 4096  # written atomically to a pipe, even with other writers (POSIX, PIPE_BUF)

_dropped = Counter(
    "slipway_log_lines_dropped", "Log lines dropped because the reader of standard output does not keep up."
)


class LineWriter:
    """Writes whole lines to a file descriptor, in order, from a separate thread.

    The thread starts with the first line, and again with the first line of a forked process. At most `most` bytes are
    buffered. `notice` makes the line that says how many lines were dropped.
    """

    def __init__(self, descriptor: int, *, most: int, notice: Callable[[int], bytes]) -> None:
        self._descriptor = descriptor
        self._most = most
        self._notice = notice
        self._reset()
        os.register_at_fork(after_in_child=self._reset)
        atexit.register(self.flush)

    def _reset(self) -> None:
        """Start with an empty buffer: a parent process writes its own lines."""
        self._lines: deque[bytes] = deque()
        self._size = 0  # bytes in the buffer
        self._missed = 0  # dropped lines not reported yet
        # Reentrant: a signal handler or finalizer that logs may interrupt the thread that holds it.
        self._lock = threading.RLock()
        # The thread has been woken, and has not found the buffer empty since: a flag, as to ask an event is a call.
        self._works = False
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._hurry = threading.Event()  # write now: the buffer is half full, or the process ends
        self._thread: threading.Thread | None = None

    def write(self, line: bytes) -> None:
        """Buffer the line, or drop it if the buffer is full. Never blocks."""
        with self._lock:
            # A full buffer must drain by half before it takes lines again, so that one notice covers many lines.
            room = self._most // 2 if self._missed else self._most
            if self._size + len(line) > room:
                self._missed += 1
                _dropped.inc()
                return
            if self._missed:
                self._take_notice()
            self._lines.append(line)
            self._size += len(line)
            if self._size > self._most // 2 and not self._hurry.is_set():
                self._hurry.set()
            if not self._works:
                self._begin()

    def _take_notice(self) -> None:
        if self._missed:
            missed, self._missed = self._missed, 0
            notice = self._notice(missed)
            self._lines.append(notice)
            self._size += len(notice)

    def _begin(self) -> None:
        self._works = True
        self._idle.clear()
        self._wake.set()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
            self._thread.start()

    def flush(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait until everything is written, at most `seconds`."""
        self._hurry.set()
        self._idle.wait(seconds)

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._hurry.wait(GATHER_SECONDS)
            self._hurry.clear()
            self._wake.clear()
            while chunk := self._next():
                self._send(chunk)

    def _next(self) -> bytes:
        """Return whole lines, up to the atomic size of a pipe; a longer line alone."""
        with self._lock:
            if not self._lines:
                self._take_notice()
            if not self._lines:
                self._works = False
                self._idle.set()
            chunk: list[bytes] = []
            size = 0
            while self._lines and (not chunk or size + len(self._lines[0]) <= ATOMIC_BYTES):
                chunk.append(self._lines.popleft())
                size += len(chunk[-1])
            self._size -= size
        return b"".join(chunk)

    def _send(self, chunk: bytes) -> None:
        while chunk:
            try:
                chunk = chunk[os.write(self._descriptor, chunk) :]
            except BlockingIOError:  # another process made the shared pipe non-blocking
                select.select((), (self._descriptor,), ())
            except OSError:  # the reader is gone
                _dropped.inc(chunk.count(b"\n"))
                return
