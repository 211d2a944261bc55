"""The team's code, the only package that a team edits. List a domain in `DOMAINS` to serve it."""

from service.domains import catalog

DOMAINS = (catalog.DOMAIN,)
