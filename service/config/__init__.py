"""Settings: typed groups, one file each, those of domains, and the sources of values.

Sources, the first that has a value wins: arguments, environment (`SLIPWAY_DATABASE__HOST`), secret files
(`<SLIPWAY_SECRETS_DIR>/database/password`), `.env`, defaults. Defaults are for production; `slipway dev` relaxes some
by name. This is the only package that reads the environment.
"""

from service.config.app import AppSettings, Environment
from service.config.backup import BackupSettings
from service.config.database import DatabaseSettings
from service.config.environment import METRICS_FOLDER, child_environment
from service.config.feature import FeatureSettings
from service.config.group import PREFIX, Group
from service.config.issuer import IssuerSettings
from service.config.logging import LoggingSettings, LogLevel
from service.config.monitoring import MonitoringSettings
from service.config.performance import PerformanceSettings
from service.config.rate_limit import RateLimitSettings
from service.config.redis import RedisSettings
from service.config.retention import RetentionSettings
from service.config.security import SecuritySettings
from service.config.server import ServerSettings
from service.config.settings import Settings
from service.config.sources import SECRETS_DIR

__all__ = [
    "METRICS_FOLDER", "PREFIX", "SECRETS_DIR", "AppSettings", "BackupSettings", "DatabaseSettings", "Environment",
    "FeatureSettings", "Group", "IssuerSettings", "LogLevel", "LoggingSettings", "MonitoringSettings",
    "PerformanceSettings", "RateLimitSettings", "RedisSettings", "RetentionSettings", "SecuritySettings",
    "ServerSettings", "Settings", "child_environment",
]  # fmt: skip
