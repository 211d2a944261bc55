"""Connections that were opened together close at different times, each within a tenth of the configured age."""

from service.config.server import ServerSettings
from service.http.protocol.lifetime import Lifetime
from service.http.protocol.limits import Limits

OPENED, AGE = 1000.0, 100.0


def opened(age: float) -> Lifetime:
    settings = ServerSettings(max_connection_age=age, max_connection_requests=0)
    return Lifetime(Limits.of(settings), OPENED)


def test_age_of_a_connection_differs_by_at_most_a_tenth() -> None:
    connections = [opened(AGE) for _ in range(500)]
    ended = {
        after: sum(one.ends_with_request(OPENED + after) for one in connections)
        for after in (89.9, 95, 105, 110.1)
    }
    assert (ended[89.9], ended[110.1]) == (0, 500)
    # A quarter and three quarters, within seven deviations.
    assert abs(ended[95] - 125) < 70
    assert abs(ended[105] - 375) < 70


def test_connection_ends_with_its_last_request() -> None:
    settings = ServerSettings(max_connection_age=0, max_connection_requests=2)
    lifetime = Lifetime(Limits.of(settings), OPENED)
    assert [lifetime.ends_with_request(OPENED) for _ in range(2)] == [False, True]


def test_without_an_age_no_connection_ends() -> None:
    assert not opened(0).ends_with_request(OPENED * 10**9)
