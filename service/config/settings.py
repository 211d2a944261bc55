"""All settings: eleven groups, and the sources that their values come from."""

import os

from dotenv import dotenv_values
from pydantic_settings import (
    BaseSettings,
    NestedSecretsSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from service.config.app import AppSettings, Environment
from service.config.backup import BackupSettings
from service.config.database import DatabaseSettings
from service.config.feature import FeatureSettings
from service.config.group import PREFIX, Group
from service.config.logging import LoggingSettings
from service.config.monitoring import MonitoringSettings
from service.config.performance import PerformanceSettings
from service.config.rate_limit import RateLimitSettings
from service.config.redis import RedisSettings
from service.config.secret_files import SECRETS_DIR, current_password
from service.config.security import SecuritySettings
from service.config.server import ServerSettings


class Settings(BaseSettings):
    """All settings. Raises pydantic's `ValidationError`; `service.config.check.load` makes lines of it."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_file=".env",
        extra="ignore",  # other programs' variables in .env; ours are judged by unknown_variables()
        frozen=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    app: AppSettings = AppSettings()
    server: ServerSettings = ServerSettings()
    logging: LoggingSettings = LoggingSettings()
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    security: SecuritySettings = SecuritySettings()
    rate_limit: RateLimitSettings = RateLimitSettings()
    monitoring: MonitoringSettings = MonitoringSettings()
    feature: FeatureSettings = FeatureSettings()
    performance: PerformanceSettings = PerformanceSettings()
    backup: BackupSettings = BackupSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the interface's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        secrets_dir = os.environ.get(SECRETS_DIR)
        if not secrets_dir:
            return init_settings, env_settings, dotenv_settings
        files = NestedSecretsSettingsSource(
            file_secret_settings,
            secrets_dir=secrets_dir,
            secrets_dir_missing="error",
            secrets_prefix="",
            secrets_nested_subdir=True,
        )
        return init_settings, env_settings, files, dotenv_settings

    def database_password(self) -> str:
        """The database's password as it is now."""
        return current_password("database", self.database.password)

    @property
    def production(self) -> bool:
        return self.app.environment is Environment.PRODUCTION


def unknown_variables() -> list[str]:
    """Names in the environment and `.env` that look like settings and are none: most often typing errors."""
    known = {
        f"{PREFIX}{group}__{field}".upper()
        for group, info in Settings.model_fields.items()
        if isinstance(info.default, Group)
        for field in type(info.default).model_fields
    }
    names = {*os.environ, *dotenv_values(str(Settings.model_config.get("env_file")))}
    return sorted(n for n in names if n.upper().startswith(PREFIX) and "__" in n and n.upper() not in known)
