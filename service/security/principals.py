"""Principals: who makes a request, and with which scopes."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

ADMIN = "admin"
ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """`id` goes into `created_by` and the logs: `key:3f9a…` for an API key, `anonymous` without a credential.

    `claims` are those of a token, as its issuer wrote them, or those that an API key was created with. Principals with
    other claims are not equal: what is cached for one tenant is not another's.
    """

    id: str
    scopes: frozenset[str]
    claims: Mapping[str, Any] = field(default_factory=dict, hash=False, repr=False)

    def may(self, scope: str) -> bool:
        """Whether the principal holds `scope`; `admin` holds all."""
        return scope in self.scopes or ADMIN in self.scopes

    def lacks(self, scopes: Sequence[str]) -> Sequence[str]:
        """Return those of `scopes` that the principal does not hold."""
        return () if self.scopes.issuperset(scopes) else [scope for scope in scopes if not self.may(scope)]

    def claim(self, name: str) -> Any:
        """Return the claim of this name, or the member that its dots lead to; None if there is no such claim."""
        return claim_of(self.claims, name)


def claim_of(claims: Mapping[str, Any], path: str) -> Any:
    """Return the claim of this name, or the member that its dots lead to; None if there is no such claim."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for name in path.split("."):
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def anonymous(scopes: Iterable[str]) -> Principal:
    return Principal(ANONYMOUS, frozenset(scopes))
