"""Files that only their owner can read, for the secrets in the data folder."""

import os
import secrets
from pathlib import Path


def read_or_create_secret(file: Path) -> str:
    """Return the secret in `file`; create a missing file: 256 random bits, URL-safe, file mode 0600."""
    found = read_secret(file)
    if found is not None:
        return found
    made = secrets.token_urlsafe(32)
    write_private_file(file, made + "\n")
    return made


def read_secret(file: Path) -> str | None:
    """Return the secret in `file`, or None if the file does not exist."""
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def write_private_file(file: Path, text: str) -> None:
    """Write a file atomically, readable by its owner only."""
    draft = file.with_name(file.name + ".new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        out.write(text)
    draft.replace(file)
