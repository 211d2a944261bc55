"""Load settings and report all errors at once: one line each, no secrets."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import orjson
from pydantic import SecretStr, ValidationError, create_model
from pydantic_core import ErrorDetails

from service.config.group import Group
from service.config.issuer import is_loopback
from service.config.reasons import is_unknown, lines, variable
from service.config.settings import Settings
from service.config.sources import UnreadableSourceError

MASK = "********"
SHORTEST_SECRET = 32
NO_PASSWORD = f"{variable('database', 'password')}: production needs a password"


class SettingsError(Exception):
    """Unusable settings. `reasons` has one line for each error, starting with the variable."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def load(kind: type[Settings] = Settings, /, **arguments: Any) -> Settings:
    """Return the effective settings. `kind` may include the groups of domains.

    Raises `SettingsError` with all reasons if any setting is wrong or unsafe.
    """
    settings, unknown, reasons = _tried(kind, arguments)
    dangers = unsafe(settings)
    if any(reason.startswith(f"{variable('database', 'url')}:") for reason in reasons):
        # An unparsable URL may hold the password.
        dangers = [danger for danger in dangers if danger != NO_PASSWORD]
    reasons = [
        *(f"{name}: there is no such setting" for name in sorted({*unknown, *kind.unknown_variables()})),
        *reasons,
        *dangers,
    ]
    if reasons:
        raise SettingsError(reasons)
    return settings


def _tried(kind: type[Settings], arguments: dict[str, Any]) -> tuple[Settings, set[str], list[str]]:
    """Return (settings, unknown variables, reasons), with defaults in place of wrong values, to find all errors."""
    unknown: set[str] = set()
    reasons: dict[str, None] = {}  # ordered, without duplicates
    tried, corrected = kind, False
    while True:
        try:
            return tried(**arguments), unknown, [*reasons]
        except UnreadableSourceError as error:
            reasons.update(dict.fromkeys(error.reasons))
        except ValidationError as error:
            wrong = error.errors(include_input=False)
            if not corrected:  # later errors are about the defaults in place of wrong values
                unknown |= {variable(*map(str, one["loc"])) for one in wrong if is_unknown(one)}
                reasons.update(dict.fromkeys(lines(error, kind)))
            corrected = True
            arguments = _without(kind, wrong, arguments)
        tried = _tolerant(kind)


def _without(
    kind: type[Settings], wrong: Sequence[ErrorDetails], arguments: dict[str, Any]
) -> dict[str, Any]:
    """Return the arguments plus defaults that override wrong values of other sources. Where the default of a field
    contradicts other fields of its group, all of them get their defaults."""
    sound: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in arguments.items()}
    for group, *path in (map(str, one["loc"]) for one in wrong):
        default = kind.model_fields[group].default
        if not path:
            sound.pop(group, None)
        elif path[0] in (fields := type(default).model_fields):
            again = path[0] in arguments.get(group, {}) and sound[group][path[0]] == getattr(default, path[0])
            names = fields if again else (path[0],)
            sound.setdefault(group, {}).update({name: getattr(default, name) for name in names})
        else:
            sound.get(group, {}).pop(path[0], None)
    return sound


@cache
def _tolerant(settings: type[Settings]) -> type[Settings]:
    """Settings that ignore unknown fields and unreadable sources."""

    def tolerant(group: Group) -> tuple[Any, Any]:
        kind = create_model(type(group).__name__, __base__=type(group))
        kind.model_config["extra"] = "ignore"
        kind.model_rebuild(force=True)
        return kind, kind()

    groups = {n: tolerant(info.default) for n, info in settings.model_fields.items()}
    kind: type[Settings] = create_model("Tolerant", __base__=settings, **groups)  # type: ignore[call-overload]
    kind.tolerant = True
    return kind


def unsafe(settings: Settings) -> list[str]:
    """Return the reasons why these settings are unsafe for production; empty in other environments."""
    if not settings.production:
        return []
    reasons = []
    if len(settings.security.secret_key.get_secret_value()) < SHORTEST_SECRET:
        reasons.append(
            f"{variable('security', 'secret_key')}: production needs a key of at least "
            f"{SHORTEST_SECRET} characters"
        )
    if 0 < len(settings.security.previous_secret_key.get_secret_value()) < SHORTEST_SECRET:
        reasons.append(
            f"{variable('security', 'previous_secret_key')}: production needs a key of at least "
            f"{SHORTEST_SECRET} characters, or none"
        )
    if settings.security.anonymous == "write":
        reasons.append(f"{variable('security', 'anonymous')}: production allows no anonymous writes")
    reasons += [
        f"{variable('security', 'issuers')}: production takes tokens only over https, not from {issuer.issuer}"
        for issuer in settings.security.issuers
        if is_loopback(issuer.issuer) or is_loopback(issuer.jwks_url or "")
    ]
    certified = settings.database.ssl_cert is not None
    if settings.database.url is None and not certified and not settings.database_password():
        reasons.append(NO_PASSWORD)
    if "*" in settings.server.trusted_proxies:
        reasons.append(
            f"{variable('server', 'trusted_proxies')}: production must name the proxies that it trusts, not *"
        )
    return reasons


def effective(settings: Settings) -> list[tuple[str, str]]:
    """Return every setting as (variable, value), with secrets masked."""
    return [
        (variable(group, field), _shown(getattr(values, field)))
        for group, values in settings
        if isinstance(values, Group)
        for field in type(values).model_fields
    ]


def _shown(value: Any) -> str:
    """Return the value in a form that the variable accepts, with secrets masked."""
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, dict):
        return orjson.dumps(value).decode()
    if isinstance(value, tuple):
        if not value or isinstance(value[0], Group):
            return orjson.dumps([one.model_dump(mode="json") for one in value]).decode()
        return ",".join(map(str, value))
    return "" if value is None else str(value)
