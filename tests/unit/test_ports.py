"""Ports that tests choose for the programs that they start."""

import socket

import pytest

from tests import ports
from tests.ports import block, next_port


@pytest.mark.parametrize("ephemeral", [1024, 20_000, 32_768, 49_152])
@pytest.mark.parametrize("workers", [1, 2, 64])
def test_workers_share_no_port(workers: int, ephemeral: int) -> None:
    blocks = [block(worker, workers, ephemeral) for worker in range(workers)]
    given = [port for one in blocks for port in one]
    assert all(blocks)
    assert len(given) == len(set(given))
    assert max(given) < ephemeral or ephemeral == 1024


def test_free_port_is_handed_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        busy, free = taken.getsockname()[1], next_port()
        monkeypatch.setattr(ports, "_ports", iter([busy, free]).__iter__)
        assert next_port() == free
        with pytest.raises(AssertionError, match="is left"):
            next_port()


@pytest.mark.skipif(
    ports._ephemeral() < 2 * ports.FIRST, reason="the system gives nearly all ports to outgoing connections"
)
def test_ports_are_outside_the_ephemeral_range() -> None:
    given = {next_port() for _ in range(50)}
    assert len(given) == 50
    assert max(given) < ports._ephemeral()
