"""The manifest: what a backup consists of and what its dump contains. It is written last, so that a backup without a
manifest does not exist.

A manifest is one JSON object: `header`, readable without a key; `body`, sealed if the backup is; and `checksum`, the
SHA-256 of both. Every format version keeps this frame.
"""

import base64
import binascii
import hashlib
from datetime import datetime
from typing import Annotated, Any

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from service.backup.errors import RefusedBackupError
from service.backup.sealing import CIPHER, KeyRing, Seal

FORMAT = 1
MANIFEST = "manifest.json"
LARGEST = 64 * 2**20  # bytes of a manifest: the parts of 20 TiB

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Sealed(_Model):
    """Which key and salt sealed a backup."""

    cipher: str
    key_id: str
    salt: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Header(_Model):
    """What can be read without a key. `size`: bytes of all parts, as stored."""

    format: int
    service: str
    id: str
    created_at: datetime
    size: Count
    parts: Count
    sealed: Sealed | None


class Part(_Model):
    """A part as stored: bytes and SHA-256."""

    size: Count
    sha256: Sha256


class Table(_Model):
    """A table in the dump: its rows, and a checksum over them that does not depend on their order."""

    name: str
    rows: Count
    checksum: str


class Body(_Model):
    """What the dump contains, and what made it. `revisions`: the heads of the two branches of migrations. `roles`:
    the roles that privileges in the dump name. `seconds`: how long the backup took."""

    version: str
    server: str
    server_major: int
    client: str
    database: str
    revisions: dict[str, str | None]
    roles: list[str]
    tables: list[Table]
    parts: list[Part]
    seconds: float


class Manifest(_Model):
    header: Header
    body: Body


def part_name(number: int) -> str:
    """Return the name of the part `number`, from 1."""
    return f"part-{number:06}"


def pack(manifest: Manifest, seal: Seal | None) -> bytes:
    """Return the manifest as it is stored."""
    header, body = manifest.header.model_dump(mode="json"), manifest.body.model_dump(mode="json")
    shown: Any = body
    if seal is not None:
        shown = base64.b64encode(seal.close(0, _canonical(body), _canonical(header))).decode()
    framed = {"header": header, "body": shown}
    return _text({**framed, "checksum": _checksum(framed)})


class Stored:
    """A stored manifest whose checksum holds. `header` is readable; the body may need a key."""

    def __init__(self, backup: str, content: bytes) -> None:
        """Raises `RefusedBackupError` for a damaged, foreign or newer manifest."""
        self._raw = _unframed(backup, content)
        self.header = _header(backup, self._raw["header"])

    def opened(self, keys: KeyRing, *, unsealed: bool = False) -> tuple[Manifest, Seal | None]:
        """Return the whole manifest, and the seal of its parts.

        If keys are configured, an unsealed backup is refused unless `unsealed` is true: anybody who can write to the
        storage could have put it there. Raises `RefusedBackupError`.
        """
        backup, sealed, body = self.header.id, self.header.sealed, self._raw["body"]
        if sealed is None:
            if keys.seals and not unsealed:
                raise RefusedBackupError(
                    f"backup {backup} is not sealed, although SLIPWAY_BACKUP__KEY is set: use --unsealed if you trust "
                    "everybody who can write to the storage"
                )
            return Manifest(header=self.header, body=_body(backup, body)), None
        if sealed.cipher != CIPHER:
            raise RefusedBackupError(
                f"backup {backup} is sealed by {sealed.cipher}; this version reads {CIPHER}"
            )
        seal = keys.seal_of(backup, sealed.key_id, bytes.fromhex(sealed.salt))
        try:
            closed = base64.b64decode(body, validate=True)
        except (binascii.Error, TypeError, ValueError):
            raise _damaged(backup) from None
        content = seal.open(0, closed, _canonical(self._raw["header"]))
        return Manifest(header=self.header, body=_body(backup, orjson.loads(content))), seal


def _unframed(backup: str, content: bytes) -> dict[str, Any]:
    try:
        raw = orjson.loads(content)
        checksum, framed = raw["checksum"], {"header": raw["header"], "body": raw["body"]}
    except (orjson.JSONDecodeError, KeyError, TypeError):
        raise _damaged(backup) from None
    # The text too: a manifest that somebody has touched is not to be trusted because it still parses.
    if checksum != _checksum(framed) or content != _text(raw):
        raise _damaged(backup)
    return framed


def _header(backup: str, raw: Any) -> Header:
    newest = raw.get("format") if isinstance(raw, dict) else None
    if isinstance(newest, int) and newest > FORMAT:
        raise RefusedBackupError(
            f"backup {backup} has the format {newest}, and this version reads up to {FORMAT}: use the version that "
            "made it, or a newer one"
        )
    try:
        header = Header.model_validate(raw)
    except ValidationError:
        raise _damaged(backup) from None
    if header.id != backup:
        raise RefusedBackupError(f"backup {backup} holds the manifest of {header.id}: it was moved or copied")
    return header


def _body(backup: str, raw: Any) -> Body:
    try:
        return Body.model_validate(raw)
    except ValidationError:
        raise _damaged(backup) from None


def _damaged(backup: str) -> RefusedBackupError:
    return RefusedBackupError(f"backup {backup} is damaged: its manifest does not match its checksum")


def _text(framed: dict[str, Any]) -> bytes:
    return orjson.dumps(framed, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


def _canonical(value: Any) -> bytes:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _checksum(framed: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(framed)).hexdigest()
