"""The run that all tests with the mark `observability` look at."""

from collections.abc import Iterator

import pytest

from tests.chart.rendering import helm_or_skip
from tests.observability.evidence import Evidence, evidence
from tests.observability.programs import program
from tests.services import Client


@pytest.fixture(scope="session")
def seen(tmp_path_factory: pytest.TempPathFactory, services: Client) -> Iterator[Evidence]:
    """One run, played once."""
    helm_or_skip("helm")
    program("prometheus")
    with evidence(tmp_path_factory.mktemp("observed"), services) as found:
        yield found
