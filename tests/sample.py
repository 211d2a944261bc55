"""Whether the team's domains still hold the sample catalogue, which `make run` and README.md show."""

from service.domains import DOMAINS

SAMPLE = any(domain.name == "catalog" for domain in DOMAINS)
