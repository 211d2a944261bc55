"""The team's code, and the only place that a team edits. A domain takes effect when it is listed in `DOMAINS`."""

from service.domains import catalog

DOMAINS = (catalog.DOMAIN,)
