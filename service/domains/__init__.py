"""The team's code, the only package that a team edits. List a domain in `DOMAINS` to serve it."""

from service.domains import catalog
from service.resources.domain import Domain

DOMAINS: tuple[Domain, ...] = (
    catalog.DOMAIN,
)  # fmt: skip
