"""Secrets in files, as Kubernetes mounts them: `<SLIPWAY_SECRETS_DIR>/database/password`."""

import contextlib
import os
from pathlib import Path

from pydantic import SecretStr

from service.config.group import PREFIX

SECRETS_DIR = "SLIPWAY_SECRETS_DIR"


def current_password(group: str, setting: SecretStr) -> str:
    """What the secret file says now, so that a rotated password needs no restart; else, or when the environment has
    one, what was set at the start."""
    folder = os.environ.get(SECRETS_DIR)
    if folder and f"{PREFIX}{group}__PASSWORD".upper() not in os.environ:
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (Path(folder) / group / "password").read_text("utf-8").strip()
    return setting.get_secret_value()
