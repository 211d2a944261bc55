"""A server without disk, memory or connections is reported once in ten seconds, for each kind of error."""

import asyncpg
import pytest
import structlog

from service import clock
from service.database import out_of_resources
from service.database.out_of_resources import is_out_of_resources
from service.http.problems.handlers import problem_of_error


def error(kind: type[asyncpg.PostgresError]) -> asyncpg.PostgresError:
    return kind("no space left\nand more")


@pytest.mark.parametrize(
    ("kind", "so"),
    [
        (asyncpg.DiskFullError, True),  # 53100
        (asyncpg.OutOfMemoryError, True),  # 53200
        (asyncpg.PostgresIOError, True),  # 58030
        (asyncpg.UniqueViolationError, False),
        (asyncpg.ProgramLimitExceededError, False),  # 54000: the statement asks for too much
    ],
)
def test_errors_of_resources_are_known_by_their_class(kind: type[asyncpg.PostgresError], *, so: bool) -> None:
    assert is_out_of_resources(error(kind)) is so
    assert not is_out_of_resources(OSError())


def test_lines_are_limited_by_kind_and_count_what_they_leave_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(out_of_resources, "_throttle", out_of_resources._Throttle())
    now = clock.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    with structlog.testing.capture_logs() as lines:
        for moment, kind in (
            (0.0, asyncpg.DiskFullError), (0.0, asyncpg.DiskFullError), (0.0, asyncpg.OutOfMemoryError),
            (9.99, asyncpg.DiskFullError), (0.01, asyncpg.DiskFullError), (0.0, asyncpg.DiskFullError),
        ):  # fmt: skip
            now += moment
            raised = out_of_resources.out_of_resources(error(kind))
    told = [(line["sqlstate"], line["errors"]) for line in lines]
    assert told == [("53100", 1), ("53200", 1), ("53100", 3)]
    assert {line["reason"].partition(": ")[2] for line in lines} == {"no space left"}
    problem = problem_of_error(raised)
    assert (problem.status, problem.detail) == (503, "The database is out of resources.")
    assert problem.all_headers["Retry-After"]
