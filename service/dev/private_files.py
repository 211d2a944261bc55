"""Secrets that live in a file of the data folder."""

import os
import secrets
from pathlib import Path


def read_or_create_secret(file: Path) -> str:
    """Return the secret in `file`; make one (256 bits, URL-safe) when there is none. Its mode is 0600."""
    found = read_secret(file)
    if found is not None:
        return found
    made = secrets.token_urlsafe(32)
    write_private_file(file, made + "\n")
    return made


def read_secret(file: Path) -> str | None:
    """Return the secret in `file`, or None when there is none."""
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def write_private_file(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    draft.replace(file)
