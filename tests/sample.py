"""Whether the team's domains still hold the sample catalogue, which `make run` and README.md show."""

import pytest

from service.domains import DOMAINS

needs_sample = pytest.mark.skipif(
    not any(domain.name == "catalog" for domain in DOMAINS), reason="DOMAINS has no sample catalogue"
)
