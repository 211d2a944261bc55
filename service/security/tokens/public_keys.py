"""Public keys of a JSON Web Key Set (RFC 7517)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

SHORTEST_RSA = 2048  # bits; NIST SP 800-131A
FAMILIES = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key of a set. `algorithm` is None when the set names none."""

    kid: str | None
    family: str
    algorithm: str | None
    key: Any


def public_key(member: Any) -> PublicKey | None:
    """Return the key of a set's member; None if it is not for signatures, or is secret, weak or broken."""
    if not isinstance(member, dict) or member.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    if member.get("use", "sig") != "sig" or "d" in member:
        return None
    kid, algorithm = member.get("kid"), member.get("alg")
    if not isinstance(kid, str | None) or not isinstance(algorithm, str | None):
        return None
    try:
        key = jwt.PyJWK(member, algorithm or _default_algorithm(member)).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < SHORTEST_RSA:
        return None
    return PublicKey(kid, member["kty"], algorithm, key)


def _default_algorithm(member: Mapping[str, Any]) -> str:
    if member["kty"] == "EC":
        return {"P-256": "ES256", "P-384": "ES384"}.get(str(member.get("crv")), "ES512")
    return "RS256" if member["kty"] == "RSA" else "EdDSA"
