"""Secrets that are read again while the service runs."""

import contextlib
import os
from pathlib import Path

from pydantic import SecretStr

from service.config.sources import SECRETS_DIR, environment


def current_password(group: str, setting: SecretStr) -> str:
    """The password of a group as it is now."""
    return current_secret(group, "password", setting)


def current_secret(group: str, name: str, setting: SecretStr) -> str:
    """What the secret file says now, so that a rotated secret needs no restart; else, or when the environment has
    one, what was set at the start."""
    folder = os.environ.get(SECRETS_DIR)
    if folder and not environment().values.get(f"{group}__{name}", "").strip():
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if text := (Path(folder) / group / name).read_text("utf-8").strip():
                return text
    return setting.get_secret_value()
