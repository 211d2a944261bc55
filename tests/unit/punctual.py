"""An event loop that is never late: it passes the time instead of waiting."""

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any


class _Selector(selectors.SelectSelector):
    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen"
        self.now += timeout
        return super().select(0)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._own = _Selector()
        super().__init__(self._own)

    def time(self) -> float:
        return self._own.now


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it on such a loop, whose time begins at 0. It can wait for timers and tasks, not for a thread or a socket."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        runner.run(work)


def now() -> float:
    """Return the time of the running loop."""
    return asyncio.get_running_loop().time()
