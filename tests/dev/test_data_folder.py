"""What is stored in the data folder: who uses it, ports, secrets, and where the database is."""

import os
import socket
from contextlib import suppress
from pathlib import Path

import pytest

from service.config import Settings
from service.dev.data_folder import locked
from service.dev.errors import FolderInUseError, last_lines
from service.dev.free_ports import LOOPBACK, free_port, is_free, read_port, stable_port
from service.dev.instance import FILE, find, published
from service.dev.private_files import read_or_create_secret, write_private_file
from tests.dev.help import listening
from tests.ports import next_port


def test_folder_is_used_by_one_process_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("123456789\n")  # of an earlier run
    with locked(tmp_path), pytest.raises(FolderInUseError, match=rf"by process {os.getpid()}:"):  # noqa: SIM117
        with locked(tmp_path):
            pass
    with locked(tmp_path) as folder:
        assert folder == tmp_path


def test_running_instance_is_found_with_its_database(tmp_path: Path) -> None:
    authority = tmp_path / "ca.pem"
    authority.touch()
    url = "postgresql://ann:secret@db.example/shop"
    database = {"url": url, "ssl": "verify-full", "ssl_root_cert": authority}
    settings = Settings.model_validate({"app": {"environment": "test"}, "database": database})
    assert find(tmp_path) is None
    with locked(tmp_path), published(tmp_path, settings):
        found = find(tmp_path)
        assert found
        assert (found.pid, found.folder) == (os.getpid(), tmp_path)
        assert found.database == {name: str(value) for name, value in database.items()}
        text = (tmp_path / FILE).read_text()
        assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert not (tmp_path / FILE).exists()
    (tmp_path / FILE).write_text(text)  # a process that was killed leaves it
    assert find(tmp_path) is None


def test_private_file_replaces_what_others_could_read(tmp_path: Path) -> None:
    file, draft = tmp_path / "secret", tmp_path / "secret.new"
    for old in (file, draft):  # the second by a process that was killed
        old.write_text("an earlier one, which is longer")
        old.chmod(0o644)
    write_private_file(file, "new")
    assert (file.read_text(), file.stat().st_mode & 0o777) == ("new", 0o600)
    assert not draft.exists()


def test_message_of_a_server_is_the_end_of_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert last_lines(log) == "its log is empty"
    log.write_text("1\n2\n3\n4\n5\n6\n\n")
    assert last_lines(log) == "2 | 3 | 4 | 5 | 6"


def test_port_is_free_until_a_program_listens() -> None:
    with listening(next_port()) as port:
        assert not is_free(port)
        with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):  # if there is IPv6
            assert is_free(port, "::1")
    # The program that listened ends its connections first: the system remembers them, and a new program need not wait.
    with socket.create_server((LOOPBACK, port)) as server, socket.create_connection((LOOPBACK, port)):
        server.accept()[0].close()
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
    for text in ("", "x", "0", "65536", "-1"):
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
