"""The run that all tests marked `observability` examine."""

from collections.abc import Iterator

import pytest

from tests.chart.rendering import helm_or_skip
from tests.observability.evidence import Evidence, evidence
from tests.observability.programs import program
from tests.services import Client


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory, services: Client) -> Iterator[Evidence]:
    """The run, played once per session."""
    helm_or_skip("helm")
    program("prometheus")
    with evidence(tmp_path_factory.mktemp("observed"), services) as found:
        yield found
