"""Runs the tests that cover a mutation, against it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from redis import Redis

from tests.mutants import sandbox
from tests.mutants.cold import import_libraries, run_cold
from tests.mutants.covering import Recording
from tests.mutants.mutations import Mutation
from tests.mutants.sandbox import Sandbox
from tests.mutants.warm import NOT_IN_FUNCTION, Request, WarmPytest
from tests.mutants.workers import GivenServers
from tests.services import Client, ServersProcess

START_SECONDS = 300  # for what no limit of a test can end
TEST_SECONDS = (
    30  # for a test that is known to take no time: fixtures of the session are made for the first one
)
PATIENCE = 5  # a busy machine is that much slower than the recording
SLOW = 0.3  # seconds: such a test starts processes or waits, so a busy machine may make it fail
TIME = re.compile("time|second|slow|deadline", re.IGNORECASE)
"""What a failure says that a busy machine may be the cause of."""
SCHEMA = ("service/migrations/", "service/models/")  # what the databases of the tests are made of


@dataclass(frozen=True)
class Verdict:
    """What became of a mutation."""

    mutation: Mutation
    outcome: str
    """killed, timed out, survived, not covered, or doubtful: the test that failed does so without it too."""
    line: int
    before: str
    after: str
    by: str = ""
    """The test that failed, and why."""
    reason: str = ""
    ran: int = 0
    covering: int = 0
    """How many tests ran, at most, of those that cover it."""

    @property
    def lives(self) -> bool:
        return self.outcome in {"survived", "not covered", "doubtful"}


class TestRuns:
    """Runs of tests in the sandbox, on one PostgreSQL and one Redis, each with databases of its own."""

    __test__ = False

    def __init__(self, copied: Sandbox, servers: ServersProcess, redis: Redis, files: Sequence[str]) -> None:
        self._sandbox, self._client, self._redis = copied, Client(servers.address), redis
        self._address = servers.address
        self._numbers = count(1)
        self._warm = WarmPytest(copied, GivenServers(servers.address), files)
        self.tests = self._warm.tests

    def run(
        self, tests: Mapping[str, float], seconds: float, mutation: Mutation | None, *, cold: bool = False
    ) -> int:
        """Return pytest's exit code for these tests, up to the first that fails, or TIMED_OUT.

        tests: each with the seconds that it may take.
        cold: the change is one of code that runs at import.
        """
        self._redis.flushall()  # or else a run finds the counts of the one before
        number = next(self._numbers)
        try:
            if mutation is None:
                return self._warm.run(Request(tests, seconds, number, None))
            file = self._sandbox.root / mutation.path
            source = file.read_text("utf-8")
            with self._sandbox.changed(mutation):
                if not cold:
                    change = (file, source, mutation.applied(source))
                    code = self._warm.run(Request(tests, seconds, number, change))
                    if code != NOT_IN_FUNCTION:
                        return code
                own = mutation.path.startswith(SCHEMA)
                given = None if own else GivenServers(self._address, number)
                return run_cold(self._sandbox, tests, seconds, servers=given)
        finally:
            self._client.drop_database(f"worker_{number}")

    def stop(self) -> None:
        self._warm.stop()


class Runner:
    """Tries mutations, one after another."""

    def __init__(self, recording: Recording, copied: Sandbox, runs: TestRuns, budget: float) -> None:
        self._recording, self._sandbox, self._runs, self._budget = recording, copied, runs, budget
        self.root = copied.root  # the work tree may change during the run

    def verdict(self, mutation: Mutation) -> Verdict:
        source = (self.root / mutation.path).read_text("utf-8")
        lines = mutation.lines(source)
        before, after = mutation.shown(source)
        recorded = self._recording.tests(mutation.path, lines)
        covering = [test for test in recorded if test in self._runs.tests]  # some may have other names by now
        some = self._within_budget(covering)
        outcome, by, reason = ("not covered", "", "") if not some else self._outcome(mutation, some)
        return Verdict(mutation, outcome, lines[0], before, after, by, reason, len(some), len(covering))

    def holds(self, tests: list[str]) -> set[str]:
        """Return those of the tests that pass without a mutation."""
        known = [test for test in tests if test in self._runs.tests]
        if self._run(known, None) == 0:
            return set(known)
        return {test for test in known if self._run([test], None) == 0}

    def _within_budget(self, tests: list[str]) -> list[str]:
        left, some = self._budget, list[str]()
        for test in tests:
            cost = self._recording.cost(test)
            if not some or cost <= left:  # a slow one leaves out no quick one behind it
                left -= cost
                some.append(test)
        return some

    def _outcome(self, mutation: Mutation, tests: list[str]) -> tuple[str, str, str]:
        while tests:
            match code := self._run(tests, mutation):
                case 0:
                    break
                # A test failed, could not be collected or looked for, or what it left open made pytest fail at its end.
                case 1 | 2 | 4 | sandbox.CRASHED:
                    by, reason = self._sandbox.first_failure()
                    if by not in tests or not self._is_chance(by, reason, mutation):
                        return "killed", by, reason
                    tests = tests[tests.index(by) + 1 :]
                case sandbox.TIMED_OUT:
                    slow = self._run(tests, None) == sandbox.TIMED_OUT
                    return "doubtful" if slow else "timed out", "", ""
                case _:
                    raise RuntimeError(
                        f"pytest exited with {code}: {self._sandbox.output.read_text('utf-8')}"
                    )
        return "survived", "", ""

    def _is_chance(self, test: str, reason: str, mutation: Mutation) -> bool:
        """Whether a test that a busy machine may have failed passes when it runs alone, with the mutation."""
        doubted = self._recording.cost(test) > SLOW or TIME.search(reason) is not None
        return doubted and self._run([test], mutation) == 0

    def _run(self, tests: list[str], mutation: Mutation | None) -> int:
        allowed = {test: TEST_SECONDS + PATIENCE * self._recording.cost(test) for test in tests}
        seconds = START_SECONDS + PATIENCE * sum(self._recording.cost(test) for test in tests)
        return self._runs.run(
            allowed, seconds, mutation, cold=mutation is not None and self._is_cold(mutation)
        )

    def _is_cold(self, mutation: Mutation) -> bool:
        lines = mutation.lines((self.root / mutation.path).read_text("utf-8"))
        return mutation.path.startswith(SCHEMA) or self._recording.at_import(mutation.path, lines)


@contextmanager
def runner(budget: float) -> Iterator[Runner]:
    """Yield a runner whose test runs share one PostgreSQL and one Redis.

    budget: seconds of tests, as recorded, for one mutation.
    """
    import_libraries()
    with ExitStack() as stack:
        folder = stack.enter_context(TemporaryDirectory(prefix="slipway-mutants-"))
        servers = ServersProcess()
        stack.callback(servers.stop)
        client = Client(servers.address)
        given = {
            "SLIPWAY_TEST_DATABASE_URL": client.create_database("mutants", migrated=False),
            "SLIPWAY_TEST_REDIS_URL": client.redis(0),
        }
        stack.enter_context(patch.dict("os.environ", given))
        redis = stack.enter_context(Redis.from_url(given["SLIPWAY_TEST_REDIS_URL"]))
        recording, copied = Recording(), Sandbox(Path(folder))
        runs = TestRuns(copied, servers, redis, recording.files())
        stack.callback(runs.stop)
        yield Runner(recording, copied, runs, budget)
