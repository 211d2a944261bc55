"""Ports and secrets that are stored in files."""

from pathlib import Path

from service.dev.free_ports import free_port, is_free, read_port, stable_port
from service.dev.private_files import read_or_create_secret
from tests.dev.help import listening


def test_port_is_free_until_a_program_listens() -> None:
    with listening() as port:
        assert not is_free(port)
    assert is_free(port)


def test_port_is_kept_while_it_is_free(tmp_path: Path) -> None:
    file = tmp_path / "port"
    port = stable_port(file)
    assert stable_port(file) == port == read_port(file)
    with listening(port):
        other = stable_port(file)
    assert other != port
    assert read_port(file) == other


def test_corrupt_port_file_is_ignored(tmp_path: Path) -> None:
    file = tmp_path / "port"
    for text in ("", "x", "0", "70000", "-1"):
        file.write_text(text)
        assert read_port(file) is None
    assert 0 < stable_port(file) == read_port(file)
    assert free_port() > 0


def test_secret_is_created_once_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    secret = read_or_create_secret(file)
    assert len(secret) >= 43
    assert read_or_create_secret(file) == secret
    assert file.stat().st_mode & 0o777 == 0o600
    assert read_or_create_secret(tmp_path / "other") != secret


def test_empty_secret_is_recreated(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.touch()
    assert read_or_create_secret(file)
    assert file.stat().st_mode & 0o777 == 0o600
