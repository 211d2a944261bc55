"""Authentication, signing keys, CORS and host names."""

import re
from typing import Annotated, Literal

from pydantic import Field, FilePath, SecretStr, field_validator

from service.config.group import REREAD, Group
from service.config.issuer import IssuerSettings
from service.config.secret_files import current_secret
from service.config.urls import checked_url

# A name or an IPv4 address, a wildcard name, or an IPv6 address in brackets (RFC 3986, 3.2.2).
_HOST_NAME = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252})|\[[0-9A-Fa-f:.]{2,45}\]")


_PORT = re.compile(r":[0-9]{1,5}\Z")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


def _origin(text: str) -> str | None:
    """Return the origin as browsers serialise it (RFC 6454, 6.2), or None if the text is not an origin."""
    scheme, _, place = text.lower().partition("://")
    host, colon, port = place.rpartition(":") if _PORT.search(place) else (place, "", "")
    if scheme not in _DEFAULT_PORTS or host.startswith("*") or not _HOST_NAME.fullmatch(host):
        return None
    return f"{scheme}://{host}{colon}{port}".removesuffix(_DEFAULT_PORTS[scheme])


class SecuritySettings(Group):
    secret_key: SecretStr = Field(default=SecretStr(""), json_schema_extra=REREAD)
    """Key that signs page cursors: at least 32 characters, the same for all replicas. A changed secret file takes
    effect within a second."""
    previous_secret_key: SecretStr = Field(default=SecretStr(""), json_schema_extra=REREAD)
    """Second key whose signatures are accepted but that signs nothing. Set it to the old or the next key during a
    rotation. A changed secret file takes effect within a second."""
    admin_key: SecretStr = SecretStr("")
    """API key with the scope `admin`, which `slipway migrate` creates if it does not exist. A key that was created from
    an earlier value stays valid until you revoke it. Empty: none is created."""
    anonymous: Literal["none", "read", "write"] = "none"
    """What callers without credentials may do. `write` is refused in production."""
    key_cache_seconds: Annotated[float, Field(ge=0, le=60)] = 0.8
    """Seconds that a verified API key is cached. A revoked key may work for that long."""
    cors_origins: Annotated[
        tuple[str, ...], Field(examples=["https://shop.example,https://desk.example"])
    ] = ()
    """Origins whose pages may call the API (CORS): `https://shop.example,https://desk.example`."""
    issuers: Annotated[
        tuple[IssuerSettings, ...],
        Field(examples=['[{"issuer": "https://id.example", "audience": "slipway"}]']),
    ] = ()
    """Issuers of bearer tokens, as a JSON list: `[{"issuer": "https://id.example", "audience": "slipway"}]`."""
    issuers_root_cert: FilePath | None = None
    """File with the CA certificates that verify the issuers' servers; default: the system's."""
    issuers_proxy: SecretStr | None = None
    """URL of an HTTP proxy through which the issuers' keys are fetched: `http://proxy.example:3128`. It may hold a user
    and a password."""
    trusted_hosts: Annotated[tuple[str, ...], Field(examples=["api.example,*.shop.example"])] = ()
    """Host names that the public port accepts: `api.example,*.shop.example`. Empty: all. `/health` accepts any name."""
    token_leeway: Annotated[float, Field(ge=0, le=300)] = 30.0
    """Seconds that an issuer's clock may differ from ours when `exp`, `nbf` and `iat` are checked."""
    jwks_refresh: Annotated[float, Field(ge=1, le=86400)] = 300.0
    """Seconds after which an issuer's keys are fetched again, in the background."""
    jwks_cooldown: Annotated[float, Field(ge=0.1, le=3600)] = 10.0
    """Minimum seconds between fetches of an issuer's keys, even if tokens name unknown keys."""
    jwks_max_age: Annotated[float, Field(ge=1, le=7 * 86400)] = 86400.0
    """Seconds that fetched keys stay valid while the issuer is unreachable."""

    def current_keys(self) -> tuple[str, ...]:
        """Return the current signing key, then the second accepted key, if any."""
        key = current_secret("security", "secret_key", self.secret_key)
        other = current_secret("security", "previous_secret_key", self.previous_secret_key)
        return (key, other) if other else (key,)

    @field_validator("cors_origins")
    @classmethod
    def _are_origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        origins = [_origin(text) for text in value]
        if None in origins:
            raise ValueError(
                f"entry {origins.index(None) + 1} is not an origin such as https://shop.example, without a path"
            )
        return tuple(filter(None, origins))

    @field_validator("issuers_proxy")
    @classmethod
    def _is_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        checked_url(value, "http", "https")
        return value

    @field_validator("trusted_hosts")
    @classmethod
    def _are_names(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for number, name in enumerate(value, 1):
            if not _HOST_NAME.fullmatch(name):
                raise ValueError(
                    f"entry {number} is not a host name such as api.example or *.example, without a port"
                )
        return tuple(name.lower() for name in value)
