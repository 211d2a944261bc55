"""The team's code: the only place that a team edits. A domain takes effect when it stands in `DOMAINS`."""

from service.domains import catalog

DOMAINS = (catalog.DOMAIN,)
