"""Loading settings so that a person can act on what is wrong: every reason at once, one line each, no secret."""

import re
from typing import Any

from pydantic import SecretStr, ValidationError, create_model
from pydantic_settings import SettingsError as SourceError

from service.config import SECRETS_DIR, Settings, unknown_variables
from service.config.group import PREFIX, Group
from service.config.issuer import is_loopback

MASK = "********"
SHORTEST_SECRET = 32


class SettingsError(Exception):
    """Settings that cannot be used. `reasons` holds one line for each, naming the variable."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def load(**arguments: Any) -> Settings:
    """The effective settings. Raises `SettingsError` with all reasons when they are wrong or unsafe."""
    unknown = set(unknown_variables())
    reasons = []
    try:
        settings = Settings(**arguments)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False, include_context=False)
        reasons = [_line(e["loc"], e["msg"]) for e in wrong if e["type"] != "extra_forbidden"]
        unknown |= {variable(*map(str, e["loc"])) for e in wrong if e["type"] == "extra_forbidden"}
        settings = _without_wrong_values(error, arguments)
    except SourceError as error:
        raise SettingsError([_source_line(str(error))]) from None
    except UnicodeDecodeError:
        raise SettingsError([f"{SECRETS_DIR}: a file in it is not text in UTF-8"]) from None
    reasons = [
        *(f"{name}: there is no such setting" for name in sorted(unknown)),
        *reasons,
        *unsafe(settings),
    ]
    if reasons:
        raise SettingsError(reasons)
    return settings


def _line(loc: tuple[int | str, ...], message: str) -> str:
    if len(loc) == 1:
        message = "must be an object, with the fields of the group"
    return f"{variable(*(str(part) for part in loc[:2]))}: {message.removeprefix('Value error, ')}"


def _source_line(message: str) -> str:
    """What pydantic-settings says of a source that it cannot read: a folder, or a group that should be JSON."""
    group = re.search(r'field "(\w+)"', message)
    return f"{variable(group[1])}: is not JSON; name its fields" if group else f"{SECRETS_DIR}: {message}"


def variable(*path: str) -> str:
    """The environment variable of a field: `variable("database", "host")` is `SLIPWAY_DATABASE__HOST`."""
    return PREFIX + "__".join(path).upper()


def _without_wrong_values(error: ValidationError, arguments: dict[str, Any]) -> Settings:
    """Settings with defaults in place of the wrong values, so that the unsafe ones are found in the same run."""
    sound: dict[str, Any] = {k: dict(v) if isinstance(v, dict) else v for k, v in arguments.items()}
    for group, *path in (map(str, e["loc"]) for e in error.errors()):
        default = Settings.model_fields[group].default
        if not path:
            sound[group] = default.model_dump()
        elif path[0] in type(default).model_fields:
            sound.setdefault(group, {})[path[0]] = getattr(default, path[0])
    return _tolerant()(**sound)


def _tolerant() -> type[Settings]:
    """Settings that let unknown fields pass."""

    def tolerant(group: Group) -> tuple[Any, Any]:
        kind = create_model(type(group).__name__, __base__=type(group))
        kind.model_config["extra"] = "ignore"
        kind.model_rebuild(force=True)
        return kind, kind()

    groups = {n: tolerant(info.default) for n, info in Settings.model_fields.items()}
    return create_model("Tolerant", __base__=Settings, **groups)  # type: ignore[call-overload,no-any-return]


def unsafe(settings: Settings) -> list[str]:
    """Why these settings must not serve in production; empty in other environments."""
    if not settings.production:
        return []
    reasons = []
    if len(settings.security.secret_key.get_secret_value()) < SHORTEST_SECRET:
        reasons.append(
            f"{variable('security', 'secret_key')}: production needs a key of at least "
            f"{SHORTEST_SECRET} characters"
        )
    if settings.security.anonymous == "write":
        reasons.append(f"{variable('security', 'anonymous')}: production allows no anonymous writes")
    reasons += [
        f"{variable('security', 'issuers')}: production takes tokens only over https, not from {issuer.issuer}"
        for issuer in settings.security.issuers
        if is_loopback(issuer.issuer) or is_loopback(issuer.jwks_url or "")
    ]
    if settings.database.url is None and not settings.database_password():
        reasons.append(f"{variable('database', 'password')}: production needs a password")
    if "*" in settings.server.trusted_proxies:
        reasons.append(
            f"{variable('server', 'trusted_proxies')}: production must name the proxies that it trusts, not *"
        )
    return reasons


def effective(settings: Settings) -> list[tuple[str, str]]:
    """Every setting as (variable, value) with secrets masked."""
    return [
        (variable(group, field), _shown(getattr(values, field)))
        for group, values in settings
        if isinstance(values, Group)
        for field in type(values).model_fields
    ]


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr):
        return MASK if value.get_secret_value() else ""
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return "" if value is None else str(value)
