"""Backups in a bucket of an S3-compatible object storage."""

import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import S3Store

from service.backup.daemon_threads import in_thread
from service.backup.errors import MissingObjectError, OversizedObjectError, StorageError
from service.backup.storage.storage_protocol import StoredObject
from service.config import BackupSettings

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config  # types only: they do not exist at run time

# About half a minute; then a command fails rather than hold its snapshot, which keeps VACUUM from cleaning up.
RETRIES = 7
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=0.2), timedelta(seconds=10)
_SILENCE, _REQUEST = timedelta(seconds=30), timedelta(minutes=15)
_PIECE = 2**20
# Amazon S3, "Error responses": the code is for programs, the message for people.
_ERROR = re.compile(r"<Code>(?P<code>[^<]*)</Code>.*?<Message>(?P<message>[^<]*)</Message>", re.DOTALL)
_LONGEST_REASON = 300


class S3Storage:
    """Objects of a bucket. Each is stored by one PUT, which S3 applies completely or not at all: nothing of an
    interrupted upload is left behind, as it would be of a multipart upload.

    The server compares every upload with its SHA-256. A request that fails is repeated.

    The library's blocking methods are used, in threads: a thread of its asynchronous ones may still be in Python when
    the interpreter ends, which aborts the process after all the work is done (SIGABRT).
    """

    def __init__(self, settings: BackupSettings) -> None:
        self._place = settings.storage.rstrip("/")
        bucket, _, prefix = self._place.removeprefix("s3://").partition("/")
        self._store = S3Store(
            bucket,
            prefix=prefix or None,
            config=_config(settings),
            client_options=_client(settings),
            retry_config={
                "max_retries": RETRIES,
                "backoff": {"init_backoff": _FIRST_PAUSE, "max_backoff": _LONGEST_PAUSE},
            },
        )

    def describe(self) -> str:
        return self._place

    async def put(self, name: str, content: bytes) -> None:
        async with self._explained("written"):
            await in_thread(partial(self._store.put, name, content, use_multipart=False))

    async def get(self, name: str, *, at_most: int) -> bytes:
        async with self._explained("read", name):
            return await in_thread(partial(self._get, name, at_most))

    def _get(self, name: str, at_most: int) -> bytes:
        content = bytearray()
        for piece in self._store.get(name).stream(min_chunk_size=_PIECE):
            content += piece
            if len(content) > at_most:
                raise OversizedObjectError(f"{self._place}: {name} is larger than {at_most} bytes")
        return bytes(content)

    def _all(self) -> list[StoredObject]:
        return [
            StoredObject(one["path"], one["size"], one["last_modified"])
            for some in self._store.list()
            for one in some
        ]

    async def list(self) -> list[StoredObject]:
        async with self._explained("read"):
            return await in_thread(self._all)

    async def space(self) -> None:
        return None

    async def delete(self, names: Iterable[str]) -> None:
        async with self._explained("changed"):
            # One by one: a bulk deletion promises no order.
            for name in names:
                await in_thread(partial(self._store.delete, name))

    @asynccontextmanager
    async def _explained(self, verb: str, name: str = "") -> AsyncIterator[None]:
        try:
            yield
        except (BaseError, OSError, ValueError) as error:
            code, reason = _reason(str(error))
            if name and isinstance(error, FileNotFoundError) and code != "NoSuchBucket":
                raise MissingObjectError(f"{self._place}: there is no {name}") from None
            raise StorageError(f"the storage {self._place} cannot be {verb}: {reason}") from None


def _config(settings: BackupSettings) -> "S3Config":
    """Return the options of the store. Without a key, the library looks for one: in the standard variables AWS_…, as a
    web identity, at the instance's metadata service."""
    config: S3Config = {
        "checksum_algorithm": "SHA256",
        "disable_bulk_delete": True,
    }  # not every storage has it
    if settings.s3_endpoint:
        config["endpoint"] = settings.s3_endpoint
    if settings.s3_region:
        config["region"] = settings.s3_region
    if settings.s3_access_key_id:
        config["access_key_id"] = settings.s3_access_key_id
        config["secret_access_key"] = settings.s3_secret_access_key.get_secret_value()
    return config


def _client(settings: BackupSettings) -> "ClientConfig":
    options: ClientConfig = {
        "read_timeout": _SILENCE,
        "timeout": _REQUEST,
        "allow_http": settings.s3_endpoint.startswith("http://"),
    }
    if settings.s3_root_cert is not None:
        options["root_certificate"] = settings.s3_root_cert.read_bytes()
    if settings.s3_proxy is not None:
        options["proxy_url"] = settings.s3_proxy.get_secret_value()
    return options


def _reason(text: str) -> tuple[str, str]:
    """Return the server's error code, if it sent one, and a line for people without the library's debug output."""
    if found := _ERROR.search(text):
        return found["code"], f"{found['code']}: {found['message']}"
    line = text.partition("\n\nDebug source")[0].replace("\n", " ")
    return "", line[:_LONGEST_REASON]
