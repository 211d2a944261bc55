"""Who may call the API."""

import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from service.config.group import Group
from service.config.issuer import IssuerSettings

# A name or an IPv4 address, the names under one, or an IPv6 address in brackets (RFC 3986, 3.2.2).
_HOST_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]")


class SecuritySettings(Group):
    secret_key: SecretStr = SecretStr("")
    """Signs page cursors; at least 32 characters, the same for all replicas."""
    anonymous: Literal["none", "read", "write"] = "none"
    """What a caller without credentials may do. `write` is refused in production."""
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 0.8
    """Seconds that a verified API key is trusted without a look at the database; bounds how long a revoked
    key still works."""
    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call the API, as a JSON list: `["https://shop.example"]`."""
    issuers: tuple[IssuerSettings, ...] = ()
    """Issuers of bearer tokens, as a JSON list: `[{"issuer": "https://…", "audience": "slipway"}]`."""
    trusted_hosts: tuple[str, ...] = ()
    """Names that the public port answers to, as a JSON list: `["api.example", "*.shop.example"]`; empty is all. Only
    `/health` answers whatever the name."""
    token_leeway: Annotated[float, Field(ge=0, le=300)] = 30.0
    """Seconds by which an issuer's clock may be off."""
    jwks_refresh: Annotated[float, Field(ge=1, le=86400)] = 300.0
    """Seconds after which an issuer's keys are fetched anew, in the background."""
    jwks_cooldown: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Seconds between two fetches of an issuer's keys, whatever tokens ask for."""
    jwks_max_age: Annotated[float, Field(ge=1, le=7 * 86400)] = 86400.0
    """Seconds for which keys are trusted while the issuer cannot be reached."""

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for origin in value:
            parts = urlsplit(origin)
            if parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}":
                raise ValueError(f"{origin} is no origin such as https://shop.example")
        return value

    @field_validator("trusted_hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if wrong := [name for name in value if not _HOST_NAME.fullmatch(name)]:
            raise ValueError(f"{wrong[0]} is no host name such as api.example or *.example, without a port")
        return tuple(name.lower() for name in value)
