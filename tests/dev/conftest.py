"""Help for the tests of the local servers."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

Run = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture
def run() -> Run:
    """Runs a coroutine from a test that is none, because what it tests runs an event loop of its own."""

    def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
        with asyncio.Runner() as runner:
            return runner.run(coroutine)

    return run
