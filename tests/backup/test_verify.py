"""Backups that `slipway backup verify` must refuse: it exits with 8 and says why."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.backup import create_backup as creating
from service.backup import manifest
from tests.backup.conftest import KEY, OTHER_KEY, ROWS, Backup, sql
from tests.services import Client

PARTS_OF = 8192  # bytes, so that a small database has several parts


@pytest.fixture(scope="module")
def filled(services: Client, worker: int) -> Iterator[str]:
    """As in conftest.py, but for all tests here: they change backups, not the database."""
    name = f"verified_{worker}"
    url = services.create_database(name, migrated=True)
    sql(url, ROWS.format(count=50))
    yield url
    services.drop_database(name)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A storage with one sealed backup, once a test has made it."""
    return tmp_path_factory.mktemp("original") / "backups"


@pytest.fixture
def made(backup: Backup, storage: Path, original: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a sealed backup of several parts."""
    if original.exists():
        shutil.copytree(original, storage)
    else:
        monkeypatch.setattr(creating, "PART_BYTES", PARTS_OF)
        done = backup("create")
        assert done.exit_code == 0, done.output
        shutil.copytree(storage, original)
    assert backup("verify").exit_code == 0
    (folder,) = storage.iterdir()
    assert len([*folder.iterdir()]) > 4
    return folder


def refused(backup: Backup, *arguments: str, **settings: object) -> str:
    """Return why `verify` refuses the newest backup."""
    done = backup("verify", *arguments, **settings)
    assert done.exit_code == 8, done.output
    return done.stderr


def damages(backup: Backup, made: Path, *, examples: int) -> None:
    """Damage a random file at a random place, in a random way, and see the backup refused."""
    files = sorted(made.iterdir())
    intact = made.with_name("intact")
    shutil.copytree(made, intact)

    @settings(max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        file=st.sampled_from(files),
        way=st.sampled_from([flip, truncate, lengthen]),
        place=st.floats(0, 1, exclude_max=True),
    )
    def damaged(file: Path, way: Callable[[bytes, float], bytes], place: float) -> None:
        content = file.read_bytes()
        file.write_bytes(way(content, place))
        try:
            assert made.name in refused(backup, made.name)
        finally:
            file.write_bytes(content)

    damaged()
    assert backup("verify", made.name).exit_code == 0


def flip(content: bytes, place: float) -> bytes:
    bit = int(place * len(content) * 8)
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def truncate(content: bytes, place: float) -> bytes:
    return content[: int(place * len(content))]


def lengthen(content: bytes, place: float) -> bytes:
    return content + bytes([int(place * 256)])


def test_damage_anywhere_is_found(backup: Backup, made: Path) -> None:
    damages(backup, made, examples=15)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_damage_anywhere_is_found_at_length(backup: Backup, made: Path) -> None:
    damages(backup, made, examples=500)


@pytest.mark.parametrize(
    "change", [bytes.rstrip, lambda text: text + b" ", lambda text: text.replace(b"  ", b" ")]
)
def test_even_blanks_of_the_manifest_are_proved(
    change: Callable[[bytes], bytes], backup: Backup, made: Path
) -> None:
    file = made / manifest.MANIFEST
    file.write_bytes(change(file.read_bytes()))
    assert "its manifest does not match its checksum" in refused(backup, made.name)


def test_parts_that_are_missing_swapped_or_repeated_are_found(backup: Backup, made: Path) -> None:
    first, second, *_ = files = sorted(made.glob("part-*"))
    contents = {file: file.read_bytes() for file in files}
    files[-1].unlink()
    assert "is incomplete" in refused(backup, made.name)
    assert files[-1].name in backup("list").stdout
    files[-1].write_bytes(contents[files[-1]])
    first.write_bytes(contents[second])
    second.write_bytes(contents[first])
    assert "does not match its checksum" in refused(backup, made.name)


def test_backup_needs_its_own_key(backup: Backup, made: Path) -> None:
    assert "the configured keys are" in refused(backup, backup__key=OTHER_KEY)
    assert "the configured keys are none" in refused(backup, backup__key="")
    rotated = backup("verify", backup__key=OTHER_KEY, backup__old_keys=KEY)
    assert rotated.exit_code == 0, rotated.output


def test_another_service_and_a_moved_backup_are_refused(backup: Backup, made: Path) -> None:
    assert "is of the service slipway" in refused(backup, made.name, app__name="orders")
    assert "there is no backup of orders" in refused(backup, app__name="orders")
    moved = made.rename(made.with_name("20990101T000000Z-00000000"))
    assert "was moved or copied" in refused(backup, moved.name)


def test_newer_format_is_refused_as_newer(backup: Backup, made: Path) -> None:
    file = made / manifest.MANIFEST
    raw = json.loads(file.read_bytes())
    raw["header"]["format"] = 2
    raw["checksum"] = manifest._checksum({"header": raw["header"], "body": raw["body"]})
    file.write_bytes(manifest._text(raw))
    assert "has the format 2, and this version reads up to 1" in refused(backup, made.name)


def test_forged_header_of_a_sealed_backup_is_refused(backup: Backup, made: Path) -> None:
    file = made / manifest.MANIFEST
    raw = json.loads(file.read_bytes())
    raw["header"]["created_at"] = "2099-01-01T00:00:00Z"
    raw["checksum"] = manifest._checksum({"header": raw["header"], "body": raw["body"]})
    file.write_bytes(manifest._text(raw))
    assert "the manifest was changed after it was sealed" in refused(backup, made.name)


def test_unsealed_backup_is_refused_where_a_key_is_configured(backup: Backup) -> None:
    assert backup("create", backup__key="").exit_code == 0
    assert backup("verify", backup__key="").exit_code == 0
    assert "is not sealed, although SLIPWAY_BACKUP__KEY is set" in refused(backup)
    for command in (("drill",), ("restore", "latest", "--replace")):
        done = backup(*command)
        assert done.exit_code == 8
        assert "is not sealed" in done.stderr
    assert backup("verify", "--unsealed").exit_code == 0
