"""Settings of commands: those of the service, or with the database of a `make run` in the same checkout."""

import sys
from typing import Any

from pydantic import ValidationError

from service.config import Environment, Settings
from service.config.loading import SettingsError, load
from service.config.reasons import variable
from service.config.sources import UnreadableSourceError
from service.dev.instance import FOLDER, Instance, database_address, find
from service.domains import DOMAINS
from service.observability import logs
from service.resources.domain import settings_of

SETTINGS = settings_of(DOMAINS)
URL = variable("database", "url")
HINT = f"no database is configured: start `make run` in this folder to use its database, or set {URL}"


def load_settings(**arguments: Any) -> Settings:
    """Load the settings and configure logging. Raises `SettingsError`.

    If no database setting is given, the environment is not production, and `slipway dev` runs in this folder, commands
    use its database and say so on standard error. `slipway serve` never does that: it calls `load` itself.
    """
    running = find(FOLDER)
    if running is not None and not _names_no_database():
        running = None
    if running is not None:
        arguments = _merged(
            {"app": {"environment": Environment.DEVELOPMENT}, "database": running.database}, arguments
        )
    try:
        settings = load(SETTINGS, **arguments)
    except SettingsError as error:
        if running is None and (FOLDER / "postgres").exists() and _names_no_database():
            raise SettingsError([*error.reasons, HINT]) from None
        raise
    logs.configure(settings.logging, sys.stderr)
    if running is not None:
        sys.stderr.write(f"slipway: {_notice(settings, running)}\n")
    return settings


def _names_no_database() -> bool:
    try:
        given = Settings()
    except (ValidationError, UnreadableSourceError, UnicodeDecodeError):
        return False  # `load` reports what is wrong
    says_production = "environment" in given.app.model_fields_set and given.production
    return not given.database.model_fields_set and not says_production


def _merged(found: dict[str, dict[str, Any]], arguments: dict[str, Any]) -> dict[str, Any]:
    """Arguments of a command override the settings found, field by field."""
    return {name: {**found.get(name, {}), **arguments.get(name, {})} for name in found | arguments}


def _notice(settings: Settings, running: Instance) -> str:
    return (
        f"using the development database {database_address(settings)} of `slipway dev` (process {running.pid}, "
        f"{running.folder}); set {URL} to use another"
    )
