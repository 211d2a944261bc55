"""All settings: twelve groups, the groups of domains, and the sources of values."""

import contextlib
from collections.abc import Mapping
from typing import ClassVar, Self, TypeVar

from pydantic import create_model
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service.config import sources
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
from service.config.retention import RetentionSettings
from service.config.secret_files import current_password
from service.config.security import SecuritySettings
from service.config.server import ServerSettings
from service.config.sources import TextSource, UnreadableSourceError

G = TypeVar("G", bound=Group)


class Settings(BaseSettings):
    """All settings. Raises pydantic's `ValidationError` or `UnreadableSourceError`; `service.config.loading.load`
    formats both as lines."""

    model_config = SettingsConfigDict(
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,  # the input may be a secret
    )

    tolerant: ClassVar[bool] = False
    """Ignore unreadable sources, to find all other errors. Never set it in a serving process."""

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
    retention: RetentionSettings = RetentionSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # the interface's
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        given = [TextSource(settings_cls, texts) for texts in sources.all_sources()]
        faults = [fault for source in given for fault in source.faults]
        if faults and not cls.tolerant:
            raise UnreadableSourceError(faults)
        return init_settings, *given

    def database_password(self) -> str:
        """Return the current password of the database."""
        if (file := self.database.password_file) is not None:
            with contextlib.suppress(OSError, UnicodeDecodeError):
                return file.read_text("utf-8").strip()
        return current_password("database", self.database.password)

    @property
    def production(self) -> bool:
        return self.app.environment is Environment.PRODUCTION

    @classmethod
    def with_groups(cls, groups: Mapping[str, type[Group]]) -> type[Self]:
        """Return a settings class with more groups, by name. Each of their fields needs a default."""
        fields = {name: (kind, kind()) for name, kind in groups.items()}
        made: type[Self] = create_model(cls.__name__, __base__=cls, **fields)  # type: ignore[call-overload]
        return made if groups else cls

    def group(self, kind: type[G]) -> G:
        """Return the values of a domain's group. Raises `LookupError` if these settings do not have it."""
        for name in type(self).model_fields:
            if isinstance(values := getattr(self, name), kind):
                return values
        raise LookupError(f"no domain in service.domains.DOMAINS has the settings {kind.__name__}")

    @classmethod
    def unknown_variables(cls) -> list[str]:
        """Return names in any source that look like settings but are unknown, mostly typing errors."""
        known = {
            f"{group}__{field}"
            for group, info in cls.model_fields.items()
            if isinstance(info.default, Group)
            for field in type(info.default).model_fields
        }
        given = {name for texts in sources.all_sources() for name in texts.values if "__" in name}
        return sorted(f"{PREFIX}{name}".upper() for name in given - known)
