"""The settings of one issuer of bearer tokens."""

from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from service.config.decoding import words
from service.config.group import Group


def is_loopback(url: str) -> bool:
    """Whether the host of a URL is this machine."""
    return urlsplit(url).hostname in {"127.0.0.1", "::1", "localhost"}


class IssuerSettings(Group):
    """One issuer of bearer tokens (OpenID Connect Discovery 1.0, RFC 9068)."""

    issuer: Annotated[str, Field(max_length=250)]
    """URL of the issuer, exactly as in the claim `iss`; up to 250 characters."""
    audience: str
    """Audience of this API, which the claim `aud` must contain."""
    jwks_url: str | None = None
    """URL of the issuer's keys (JWKS). Default: the one in its discovery document."""
    algorithms: tuple[
        Literal["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"], ...
    ] = (
        "RS256",
        "PS256",
        "ES256",
        "EdDSA",
    )
    """Accepted signature algorithms. None with a shared secret is possible."""
    token_types: tuple[str, ...] = ("at+jwt", "JWT", "")
    """Accepted values of the header `typ`, case-insensitive; an empty string accepts tokens without it."""
    scope_claims: tuple[str, ...] = ("scope", "scp")
    """Claims that hold scopes, as a list or separated by spaces. Use dots for nested claims."""
    roles_claim: str | None = None
    """Claim that holds roles, such as `realm_access.roles`."""
    role_scopes: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Scopes that each role grants."""

    @field_validator("role_scopes", mode="before")
    @classmethod
    def _from_words(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        return {role: words(scopes) if isinstance(scopes, str) else scopes for role, scopes in value.items()}

    @field_validator("audience")
    @classmethod
    def _is_named(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must name this API, as the issuer does in `aud`")
        return value

    @field_validator("issuer", "jwks_url")
    @classmethod
    def _is_safe(cls, value: str | None) -> str | None:
        if value is not None and not (value.startswith("https://") or is_loopback(value)):
            raise ValueError("must be an https URL")
        return value
