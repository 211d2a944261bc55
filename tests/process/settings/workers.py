"""Several processes behind the same ports."""

from tests.process.settings.table import Given, Running, Setup, process, setting
from tests.process.test_workers import workers_of
from tests.protocol.case import get, post
from tests.protocol.wire import closes, wire


@process("workers")
def workers(setup: Setup) -> Given:
    # gunicorn leaves a socket to the garbage collector.
    return {
        "database__url": setup.database_url,
        "redis__enabled": "false",
        "TMPDIR": setup.home,
        "PYTHONWARNINGS": "error,ignore::ResourceWarning",
    }


@setting("server__workers", 2, process="workers")
def two_workers_serve(run: Running) -> None:
    assert len(workers_of(run.service)) == 2


@setting("server__max_connection_requests", 3, process="workers")
def connection_closes_after_its_last_request(run: Running) -> None:
    requests = get(b"X: 1"), get(b"X: 1"), post(b"Content-Length: 2", b"{}")
    with wire(run.service.port) as client:
        seen = []
        for request in requests:
            client.send(request)
            seen.append(closes(client))
        assert (seen, client.response()) == ([False, False, True], None)
    with wire(run.service.port) as client:
        client.send(b"".join(requests) + get(b"X: 1"))  # pipelined; a client repeats what got no response
        assert ([closes(client) for _ in requests], client.response()) == ([False, False, True], None)
