"""The settings of one issuer of bearer tokens."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from service.config.decoding import words
from service.config.group import Group


def is_loopback(url: str) -> bool:
    """Whether a URL leads to this machine only."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


class IssuerSettings(Group):
    """One issuer of bearer tokens (OpenID Connect Discovery 1.0, RFC 9068)."""

    issuer: Annotated[str, Field(max_length=250)]
    """URL of the issuer, exactly as in the claim `iss`; at most 250 characters."""
    audience: str
    """What the claim `aud` must name: this API."""
    jwks_url: str | None = None
    """Where its keys are; without it the issuer's discovery document says."""
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"], ...
    ] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Signature algorithms that are accepted; never one with a shared secret."""
    token_types: tuple[str, ...] = ("at+jwt", "JWT", "")
    """Values of the header `typ` that are accepted, in any case; empty for none."""
    scope_claims: tuple[str, ...] = ("scope", "scp")
    """Claims that hold scopes, as a list or separated by spaces; dots lead into objects."""
    roles_claim: str | None = None
    """Claim that holds roles, such as `realm_access.roles`."""
    role_scopes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Scopes that each role brings."""

    @field_validator("role_scopes", mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {role: words(scopes) if isinstance(scopes, str) else scopes for role, scopes in value.items()}

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _is_safe(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith("https://") or is_loopback(value)):
            raise ValueError("must be an https URL")
        return value
