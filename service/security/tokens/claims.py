"""The claims of a token: its times, its subject, and the scopes that it brings."""

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from service.config.issuer import IssuerSettings
from service.security.principals import Principal, claim_of
from service.security.refusals import Reason, RefusedError

# OpenID Connect Core 1.0, 2: at most 255 ASCII characters. Directories have subjects with spaces in them.
_SUBJECT = re.compile(r"[\x20-\x7e]{1,255}\Z")


def check_times(claims: Mapping[str, Any]) -> None:
    """Raise `RefusedError` unless the times are plain numbers in a sane range; the library accepts text and more."""
    for name in ("exp", "nbf", "iat"):
        value = claims.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise RefusedError(Reason.CLAIMS, f"{name} is not a number")
        if value is not None and not 0 <= value < 2**40:
            raise RefusedError(Reason.CLAIMS, f"{name} is out of range")


def principal_of(claims: Mapping[str, Any], issuer: IssuerSettings) -> Principal:
    """Return the principal that verified claims name, with its scopes. Raises `RefusedError`."""
    subject = claims["sub"]
    if not isinstance(subject, str) or not _SUBJECT.match(subject):
        raise RefusedError(Reason.SUBJECT, "sub is not 1 to 255 printable ASCII characters")
    scopes: set[str] = set()
    for name in issuer.scope_claims:
        scopes.update(_texts(claim_of(claims, name)))
    if issuer.roles_claim is not None:
        for role in _texts(claim_of(claims, issuer.roles_claim)):
            scopes.update(issuer.role_scopes.get(role, ()))
    # The issuer is part of who it is: two issuers may both have a subject "1".
    name = f"token:{subject}@{issuer.issuer.partition('://')[2]}"
    return Principal(name, frozenset(scopes), MappingProxyType(dict(claims)))


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        return value.split()
    return [text for text in value if isinstance(text, str)] if isinstance(value, list) else []
