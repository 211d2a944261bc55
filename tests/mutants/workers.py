"""A plugin of pytest that gives it servers which run already, as pytest-xdist does for its workers."""

import pytest

from tests.services import ADDRESS


class GivenServers:
    """The servers of a run, and the number of the worker, which names its databases."""

    def __init__(self, address: str, number: int = 0) -> None:
        self._input = {ADDRESS: address, "workerid": f"gw{number}"}

    @pytest.hookimpl(tryfirst=True)
    def pytest_configure(self, config: pytest.Config) -> None:
        config.workerinput = self._input  # type: ignore[attr-defined]

    def renumber(self, number: int) -> None:
        """Name the databases of this process after another worker."""
        self._input["workerid"] = f"gw{number}"
