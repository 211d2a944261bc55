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

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self) -> None:
        """Let each run start its own fork servers: one that the runs share has the code of the first of them."""
        from tests import forked  # noqa: PLC0415  # that of the sandbox, whose modules are imported again

        forked.start_by(forked.start_here)

    def renumber(self, number: int) -> None:
        """Name the databases of this process after another worker."""
        self._input["workerid"] = f"gw{number}"
