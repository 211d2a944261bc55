"""What the edge takes from the client's headers and target: the request id, the trace and the host."""

import pytest

from service.http.middleware.state import new_state
from service.http.protocol.request_head import authority

TRACE, SPAN = "0123456789abcdef" * 2, "0123456789abcdef"


@pytest.mark.parametrize("given", ["a" * 8, "Z" * 128, "order-17_a.b"])
def test_request_id_of_the_client_is_kept(given: str) -> None:
    assert new_state([(b"x-request-id", given.encode())]).request_id == given


@pytest.mark.parametrize("given", ["", "a" * 7, "a" * 129, "with space", "line\nbreak", "ümlauts-are-not"])
def test_any_other_request_id_is_replaced(given: str) -> None:
    state = new_state([(b"x-request-id", given.encode("latin-1"))])
    assert state.request_id != given
    assert len(state.request_id) == 32


def test_last_well_formed_request_id_counts() -> None:
    fields = [(b"x-request-id", value) for value in (b"first-one", b"second-one", b"bad")]
    assert new_state(fields).request_id == "second-one"


@pytest.mark.parametrize(
    ("given", "trace"),
    [
        (f"00-{TRACE}-{SPAN}-01", (TRACE, SPAN)),
        (f"00-{TRACE}-{SPAN}", (None, None)),
        (f"00-{TRACE[:-1]}-{SPAN}-01", (None, None)),
        (f"00-{TRACE}-{SPAN}0-01", (None, None)),
        (f"00-{TRACE.upper()}-{SPAN}-01", (None, None)),
    ],
)
def test_trace_is_taken_from_a_well_formed_traceparent(
    given: str, trace: tuple[str | None, str | None]
) -> None:
    state = new_state([(b"traceparent", given.encode())])
    assert (state.trace_id, state.span_id) == trace


@pytest.mark.parametrize(
    ("target", "host"),
    [
        ("/shelves?at=me@b.example", None),
        ("*", None),
        ("http://a.example", "a.example"),
        ("http://me:secret@a.example:80/shelves", "a.example:80"),
        ("http://a.example?at=me@b.example", "a.example"),
    ],
)
def test_host_of_a_target_is_without_user_path_and_query(target: str, host: str | None) -> None:
    found = authority(target.encode())
    assert (found and found.decode()) == host
