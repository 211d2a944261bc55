"""Backups in an S3-compatible storage, which is a real HTTP server."""

import base64
import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import Result

from service.backup import create_backup as creating
from service.backup.errors import StorageError
from service.backup.storage import s3
from service.config import BackupSettings
from service.dev.free_ports import LOOPBACK
from tests.backup.conftest import KEY, Backup, name_of, renamed, sql
from tests.backup.s3_server import BUCKET, S3Server, recording, s3_server
from tests.backup.test_prune import RULES
from tests.backup.test_restore import TABLES, contents
from tests.backup.test_verify import PARTS_OF, flip
from tests.faults.proxy import Endpoint, Proxy
from tests.process.conftest import Command
from tests.process.served import eventually, slipway
from tests.process.settings.background import Background

STORAGE = f"s3://{BUCKET}/nightly"


@pytest.fixture(scope="session")
def server() -> Iterator[S3Server]:
    with s3_server() as started:
        yield started


@pytest.fixture
def bucket(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    server.empty()
    monkeypatch.setattr(creating, "PART_BYTES", PARTS_OF)
    monkeypatch.setattr(s3, "RETRIES", 1)
    return server


@pytest.fixture
def backup(command: Command, filled: str, bucket: S3Server) -> Backup:
    """Runs `slipway backup` with the bucket as its storage."""

    def run(*arguments: str, **settings: object) -> Result:
        given = {
            "database__url": filled,
            "backup__storage": STORAGE,
            "backup__key": KEY,
            "backup__s3_endpoint": f"http://{LOOPBACK}:{bucket.port}",
            "backup__s3_access_key_id": "AK",
            "backup__s3_secret_access_key": "secret-for-tests",
        }
        return command("backup", *arguments, **{**given, **settings})

    return run


def test_backups_are_stored_listed_proved_and_pruned(backup: Backup, bucket: S3Server) -> None:
    first, second = sorted(backup("create").stdout.strip() for _ in range(2))
    assert [one["refused"] for one in json.loads(backup("list", "--json").stdout)] == [None, None]
    assert len([name for name in bucket.names() if name.startswith(f"nightly/{first}/part-")]) > 2
    part = f"/{BUCKET}/nightly/{second}/part-000002"
    content = bucket.ask("GET", part)
    assert backup("verify").exit_code == 0
    bucket.ask("PUT", part, flip(content, 0.5))
    assert backup("verify").exit_code == 8
    bucket.ask("PUT", part, content)
    assert backup("prune", backup__keep_last=1, **RULES).exit_code == 0
    assert {name.split("/")[1] for name in bucket.names()} == {second}


def _storage_at(port: int) -> s3.S3Storage:
    given = {
        "s3_endpoint": f"http://{LOOPBACK}:{port}",
        "s3_access_key_id": "AK",
        "s3_secret_access_key": "x",
    }
    return s3.S3Storage(BackupSettings.model_validate({"storage": STORAGE, **given}))


async def test_server_is_asked_to_check_every_upload() -> None:
    heads: list[dict[str, str]] = []
    async with recording(heads) as port:
        with pytest.raises(StorageError, match=r"cannot be written: .*403 Forbidden"):
            await _storage_at(port).put("a/b", b"content")
    [head] = heads
    digest = hashlib.sha256(b"content")
    assert base64.b64decode(head["x-amz-checksum-sha256"]) == digest.digest()
    assert head["x-amz-content-sha256"] == digest.hexdigest()


async def test_objects_are_deleted_without_the_bulk_request() -> None:
    heads: list[dict[str, str]] = []
    async with recording(heads) as port:
        with pytest.raises(StorageError, match=r"cannot be changed: .*403 Forbidden"):
            await _storage_at(port).delete(["a/b"])
    assert [head["line"] for head in heads] == [f"DELETE /{BUCKET}/nightly/a/b HTTP/1.1"]


def test_unusable_storage_is_named_without_secrets(backup: Backup, bucket: S3Server) -> None:
    done = backup("create", backup__storage="s3://nobodys-bucket")
    assert done.exit_code == 1
    assert (
        "s3://nobodys-bucket cannot be read: NoSuchBucket: The specified bucket does not exist" in done.stderr
    )
    bucket.ask("PUT", f"/{BUCKET}/nightly/20260101T000000Z-00000000/manifest.json", b"{}")
    assert "is damaged" in backup("list").stdout
    done = backup("verify", "20260101T000000Z-00000001")
    assert done.exit_code == 8
    assert "has no manifest" in done.stderr
    alone = backup("list", backup__s3_access_key_id="")
    assert alone.exit_code == 3
    assert "SLIPWAY_BACKUP__S3_SECRET_ACCESS_KEY: goes with" in alone.stderr
    assert "secret-for-tests" not in done.output + alone.output


def test_storage_lost_midway_leaves_no_backup(backup: Backup, bucket: S3Server) -> None:
    made = backup("create").stdout.strip()
    background = Background()
    try:
        proxy = background.enter(Proxy(Endpoint(LOOPBACK, bucket.port)))
        proxy.rate = 40_000.0  # bytes per second, so that the upload takes a while
        losing = ThreadPoolExecutor(1).submit(_lose, bucket, proxy, background, made)
        done = backup("create", backup__s3_endpoint=f"http://{LOOPBACK}:{proxy.port}")
        losing.result(30)
    finally:
        background.close()
    assert done.exit_code == 1
    assert f"the storage {STORAGE} cannot be written: " in done.stderr
    assert "Debug source" not in done.stderr
    assert [one["id"] for one in json.loads(backup("list", "--json").stdout)] == [made]
    assert backup("verify").exit_code == 0


def _lose(bucket: S3Server, proxy: Proxy, background: Background, made: str) -> None:
    """Lose the storage, for good, once a part of another backup is in it."""
    assert eventually(lambda: [name for name in bucket.names() if made not in name], seconds=30)

    async def lose() -> None:
        proxy.refuse()
        proxy.cut()

    background.run(lose())


@pytest.mark.long
@pytest.mark.usefixtures("shop_serves")
def test_restore_and_drill_read_the_bucket(backup: Backup, filled: str, empty: str) -> None:
    before = contents(filled)
    made = backup("create").stdout.strip()
    assert f"backup {made} restores and serves" in backup("drill").stdout
    sql(renamed(filled, "postgres"), f"DROP DATABASE {name_of(filled)} WITH (FORCE)")
    done = backup("restore", "latest", "--replace")
    assert done.exit_code == 0, done.output
    assert contents(filled) == before
    done = backup("restore", made, database__url=empty, backup__s3_endpoint=f"http://{LOOPBACK}:1")
    assert done.exit_code == 1
    assert "cannot be read" in done.stderr
    assert sql(empty, TABLES) == []


@pytest.mark.long
def test_every_process_ends_with_its_own_exit_code(bucket: S3Server, tmp_path: Path) -> None:
    """Threads of the library must not be in Python when the interpreter ends: that aborted one process in five."""
    given = {
        "database__url": "postgresql://a:b@127.0.0.1:1/c",
        "backup__storage": STORAGE,
        "backup__s3_endpoint": f"http://{LOOPBACK}:{bucket.port}",
        "backup__s3_access_key_id": "AK",
        "backup__s3_secret_access_key": "secret-for-tests",
    }
    codes = {slipway(tmp_path, "backup", "list", **given).returncode for _ in range(30)}
    assert codes == {0}


@pytest.mark.parametrize(("endpoint", "plain"), [("", False), ("https://s3", False), ("http://s3", True)])
def test_plain_http_is_for_endpoints_that_say_so(endpoint: str, *, plain: bool) -> None:
    settings = BackupSettings.model_validate({"storage": "s3://bucket", "s3_endpoint": endpoint})
    assert s3._client(settings)["allow_http"] is plain
