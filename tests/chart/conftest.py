"""All tests in this folder need Helm."""

import pytest

from tests.chart.rendering import helm_or_skip


@pytest.fixture(autouse=True)
def _helm() -> None:
    helm_or_skip("helm")
