"""Principals: who makes a request, and with which scopes."""

from collections.abc import Iterable
from dataclasses import dataclass

ADMIN = "admin"
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` goes into `created_by` and the logs: `key:3f9a…` for an API key, `anonymous` without a credential."""

    id: str
    scopes: frozenset[str]

    def may(self, scope: str) -> bool:
        """Whether the principal holds `scope`; `admin` holds all."""
        return scope in self.scopes or ADMIN in self.scopes


def anonymous(scopes: Iterable[str]) -> Principal:
    return Principal(ANONYMOUS, frozenset(scopes))
