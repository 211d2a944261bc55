"""The sources of settings: environment, secret files and `.env`. Each maps names of settings to text.

An empty value counts as unset in every source, so a template may leave a variable empty.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
from dotenv import dotenv_values
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from service.config.group import PREFIX

SECRETS_DIR = "SLIPWAY_SECRETS_DIR"
DOTENV = ".env"
_SEPARATOR = "__"
_LARGEST_FILE = 2**20  # bytes of a secret


@dataclass
class Texts:
    """The values of one source, by name without the prefix, in lower case: `database__host`."""

    values: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """One line for each unreadable part of the source, without its value."""


class UnreadableSourceError(Exception):
    """A part of a source cannot be read. `reasons` has one line for each, without the value."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


def all_sources() -> tuple[Texts, ...]:
    """Return the values of each source, in order of precedence."""
    return environment(), secret_files(), dotenv()


def environment() -> Texts:
    """Return the values in the environment."""
    return Texts(dict(_named(os.environ.items())))


def dotenv() -> Texts:
    """Return the values in `.env` of the current folder."""
    try:
        values = dotenv_values(DOTENV)
    except UnicodeDecodeError:
        return Texts(faults=[f"{DOTENV}: is not text in UTF-8"])
    except OSError as error:
        return Texts(faults=[f"{DOTENV}: cannot be read: {error.strerror}"])
    return Texts(dict(_named((name, value) for name, value in values.items() if value is not None)))


def secret_files() -> Texts:
    """Return the values in the files `<SLIPWAY_SECRETS_DIR>/<group>/<field>`, as Kubernetes mounts them."""
    found = Texts()
    if not (named := os.environ.get(SECRETS_DIR)):
        return found
    folder = Path(named)
    if not folder.is_dir():
        found.faults.append(f"{SECRETS_DIR}: directory {named} does not exist")
        return found
    try:
        files = [*_files(folder)]
    except OSError as error:
        found.faults.append(f"{SECRETS_DIR}: cannot be read: {error.strerror}")
        return found
    for file in files:
        name = file.relative_to(folder).as_posix()
        try:
            found.values[name.replace("/", _SEPARATOR).lower()] = _secret(file, folder)
        except UnicodeDecodeError:
            found.faults.append(f"{SECRETS_DIR}: a file in it is not text in UTF-8: {name}")
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            found.faults.append(f"{SECRETS_DIR}: a file in it cannot be read: {name}: {reason}")
    return found


def _named(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    for name, value in pairs:
        if name.upper().startswith(PREFIX):
            yield name[len(PREFIX) :].lower(), value


def _files(folder: Path) -> Iterator[Path]:
    """Yield the files in folders named like groups. Hidden entries are Kubernetes' versions behind the symlinks."""
    for group in sorted(folder.iterdir()):
        if group.is_dir() and not group.name.startswith("."):
            yield from (f for f in sorted(group.iterdir()) if not f.name.startswith(".") and not f.is_dir())


def _secret(file: Path, folder: Path) -> str:
    """Return the text of a secret file, stripped. Raises `ValueError` for a file that cannot be a secret."""
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ValueError("the symlink points outside the folder")
    if file.stat().st_size > _LARGEST_FILE:
        raise ValueError("the file is larger than 1 MiB")
    return file.read_text("utf-8").strip()


class TextSource(PydanticBaseSettingsSource):
    """Passes texts to the groups. Fields decode their own text; a whole group may be given as a JSON object."""

    def __init__(self, kind: type[BaseSettings], texts: Texts) -> None:
        super().__init__(kind)
        self.faults = [*texts.faults]
        self._values = {name: self._group(name, texts.values) for name in kind.model_fields}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002  # the interface's
        return self._values[field_name], field_name, False

    def __call__(self) -> dict[str, Any]:
        return {name: value for name, value in self._values.items() if value}

    def _group(self, name: str, texts: Mapping[str, str]) -> dict[str, Any]:
        value = self._whole(name, texts.get(name, "").strip())
        prefix = name + _SEPARATOR
        for key, text in texts.items():
            if key.startswith(prefix) and text.strip():
                value[key.removeprefix(prefix)] = text
        return value

    def _whole(self, name: str, text: str) -> dict[str, Any]:
        """Return the fields of a group that is given as one JSON object."""
        variable = f"{PREFIX}{name}".upper()
        try:
            value = orjson.loads(text or b"{}")
        except orjson.JSONDecodeError:
            self.faults.append(f"{variable}: is not JSON: set its fields one by one, as {variable}__<FIELD>")
            return {}
        if not isinstance(value, dict):
            self.faults.append(f"{variable}: must be a JSON object with the fields of the group")
            return {}
        return value
