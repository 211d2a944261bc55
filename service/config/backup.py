"""Where backups are stored, how they are sealed, and which PostgreSQL programs make them."""

import base64
import binascii
from typing import Annotated, Literal

from pydantic import DirectoryPath, Field, FilePath, SecretStr, ValidationInfo, field_validator

from service.config.decoding import words
from service.config.group import Group
from service.config.urls import checked_url

KEY_BYTES = 32
_FORM = "must be 32 bytes in base64, such as `openssl rand -base64 32` prints"


class BackupSettings(Group):
    storage: Annotated[str, Field(pattern=r"^(/.*|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/.*)?)?$")] = ""
    """Where backups are stored: an absolute folder, created if it does not exist, or `s3://bucket/prefix`. Empty: the
    `backup` commands refuse to run."""
    key: SecretStr = SecretStr("")
    """Key that seals backups: 32 bytes in base64. Keep a copy outside the cluster: without the key a sealed backup is
    lost. Empty: backups are stored unsealed."""
    old_keys: SecretStr = SecretStr("")
    """Earlier keys, separated by commas, which open the backups that they sealed. Remove a key when no backup needs
    it."""
    compression: Literal["gzip", "lz4", "zstd", "none"] = "gzip"
    """How `pg_dump` compresses the data. `zstd` is faster and smaller where the client programs support it; it and
    `lz4` need PostgreSQL 16 or newer."""
    client_folder: DirectoryPath | None = None
    """Folder of `pg_dump` and `pg_restore`, which must have the server's major version. Empty: search the usual
    folders."""

    s3_endpoint: Annotated[str, Field(pattern=r"^(https?://[^/@?#]+/?)?$")] = ""
    """URL of an S3-compatible storage, such as `https://minio.example.com:9000`. Empty: Amazon S3."""
    s3_region: str = ""
    """Region of the bucket. Empty: `us-east-1`, or what `AWS_REGION` says."""
    s3_access_key_id: str = ""
    """Access key. Empty: the standard variables `AWS_…`, a web identity (EKS), or the instance's role."""
    s3_secret_access_key: Annotated[SecretStr, Field(validate_default=True)] = SecretStr("")
    """Secret of the access key."""
    s3_root_cert: FilePath | None = None
    """File with CA certificates that are trusted for S3, in addition to the system's."""
    s3_proxy: SecretStr | None = None
    """URL of an HTTP proxy through which S3 is reached: `http://proxy.example:3128`. It may hold a user and a
    password."""

    keep_last: Annotated[int, Field(ge=1, le=10_000)] = 3
    """`slipway backup prune` keeps this many of the newest backups, regardless of age."""
    keep_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """It keeps every backup at most this many days older than the newest; 0: this rule keeps none."""
    keep_daily: Annotated[int, Field(ge=0, le=10_000)] = 7
    """It keeps the newest backup of each of this many days that have one. Days and weeks are in UTC."""
    keep_weekly: Annotated[int, Field(ge=0, le=10_000)] = 4
    """It keeps the newest backup of each of this many weeks that have one."""
    keep_monthly: Annotated[int, Field(ge=0, le=10_000)] = 6
    """It keeps the newest backup of each of this many months that have one."""

    @field_validator("s3_proxy")
    @classmethod
    def _is_proxy(cls, value: SecretStr | None) -> SecretStr | None:
        checked_url(value, "http", "https")
        return value

    @field_validator("key", "old_keys")
    @classmethod
    def _decodes(cls, value: SecretStr) -> SecretStr:
        for text in words(value.get_secret_value()):
            _decoded(text)
        return value

    @field_validator("key")
    @classmethod
    def _is_one(cls, value: SecretStr) -> SecretStr:
        if "," in value.get_secret_value():
            raise ValueError(f"{_FORM}; earlier keys go to SLIPWAY_BACKUP__OLD_KEYS")
        return value

    @field_validator("s3_secret_access_key")
    @classmethod
    def _comes_with_its_id(cls, value: SecretStr, info: ValidationInfo) -> SecretStr:
        if bool(value.get_secret_value()) != bool(info.data.get("s3_access_key_id")):
            raise ValueError("goes with SLIPWAY_BACKUP__S3_ACCESS_KEY_ID: set both or neither")
        return value

    def keys(self) -> tuple[bytes, ...]:
        """Return the bytes of all keys; the one that seals comes first, if there is one."""
        return tuple(_decoded(text) for given in (self.key, self.old_keys) for text in words(_text(given)))


def _text(secret: SecretStr) -> str:
    return secret.get_secret_value()


def _decoded(text: str) -> bytes:
    """Return the bytes of a key. Raises `ValueError` without any part of it."""
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(_FORM) from None
    if len(key) != KEY_BYTES:
        raise ValueError(_FORM)
    return key
