"""Secrets that are re-read while the service runs."""

import contextlib
import os
from pathlib import Path

from pydantic import SecretStr

from service.config.sources import SECRETS_DIR, environment


def current_password(group: str, setting: SecretStr) -> str:
    """Return the current password of a group."""
    return current_secret(group, "password", setting)


def current_secret(group: str, name: str, setting: SecretStr) -> str:
    """Return the current content of the secret file, so that rotation needs no restart. Without a file, or if the
    environment sets the value, return the value read at start-up."""
    folder = os.environ.get(SECRETS_DIR)
    if folder and not environment().values.get(f"{group}__{name}", "").strip():
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if text := (Path(folder) / group / name).read_text("utf-8").strip():
                return text
    return setting.get_secret_value()
