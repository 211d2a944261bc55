"""The header of a token (RFC 7515, 4.1): which algorithm and key verify it, and what is refused unverified."""

from collections.abc import Mapping
from typing import Any

from service.config.issuer import IssuerSettings
from service.security.refusals import Reason, RefusedError
from service.security.tokens.token_parts import printable

LONGEST_KID = 200
# Headers that would let a token say how to verify it, or that change how its parts are read (RFC 7515, RFC 7797).
_REFUSED_HEADERS = frozenset({"crit", "b64", "enc", "zip", "jwk", "jku", "x5u", "x5c"})


def algorithm_of(header: Mapping[str, Any], issuer: IssuerSettings) -> str:
    """Return the algorithm of a token, if the issuer may use it. Raises `RefusedError`."""
    kind = header.get("typ", "")
    types = {name.lower() for name in issuer.token_types}
    if present := header.keys() & _REFUSED_HEADERS:
        raise RefusedError(Reason.HEADER, ", ".join(sorted(present)))
    if header.get("cty") is not None:
        raise RefusedError(Reason.HEADER, "cty")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in types:
        raise RefusedError(Reason.TYPE, f"typ {printable(kind)}")
    algorithm = header.get("alg")
    if algorithm not in issuer.algorithms:
        raise RefusedError(Reason.ALGORITHM, f"alg {printable(algorithm)}")
    return str(algorithm)


def key_id_of(header: Mapping[str, Any]) -> str | None:
    """Return the `kid`; None without one. Raises `RefusedError`."""
    kid = header.get("kid")
    if kid is not None and (not isinstance(kid, str) or not 1 <= len(kid) <= LONGEST_KID):
        raise RefusedError(Reason.KEY_ID, f"a kid is a text of 1 to {LONGEST_KID} characters")
    return kid
