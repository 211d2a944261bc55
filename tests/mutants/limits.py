"""A plugin of pytest that ends each test that takes far longer than it is known to, and says in full why one failed."""

from collections.abc import Mapping

import pytest

WIDTH = 1000


class TestLimits:
    """The seconds of each test: one that a mutation makes wait forever fails, by its name, after them."""

    __test__ = False

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds = seconds

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            if seconds := self._seconds.get(item.nodeid):
                item.add_marker(pytest.mark.timeout(seconds), append=False)  # before one of its own

    @pytest.hookimpl(tryfirst=True)
    def pytest_terminal_summary(self, config: pytest.Config) -> None:
        config.get_terminal_writer().fullwidth = WIDTH  # on a narrow terminal, the reason is left out
