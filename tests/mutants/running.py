"""Runs the tests that cover a mutation, against it."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from redis import Redis

from tests.mutants import sandbox
from tests.mutants.covering import Recording
from tests.mutants.mutations import Mutation
from tests.mutants.sandbox import Sandbox, import_libraries
from tests.services import Client, ServersProcess

START_SECONDS = 60
PATIENCE = 5  # a busy machine is that much slower than the recording


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
    """The test that failed."""
    ran: int = 0
    covering: int = 0
    """How many tests ran, at most, of those that cover it."""

    @property
    def lives(self) -> bool:
        return self.outcome in {"survived", "not covered", "doubtful"}


class Runner:
    """Tries mutations, one after another."""

    def __init__(self, recording: Recording, copied: Sandbox, budget: float) -> None:
        self._recording, self._sandbox, self._budget = recording, copied, budget
        self.root = copied.root  # the work tree may change during the run
        self._existing = copied.collected()

    def verdict(self, mutation: Mutation) -> Verdict:
        source = (self.root / mutation.path).read_text("utf-8")
        lines = mutation.lines(source)
        before, after = mutation.shown(source)
        recorded = self._recording.tests(mutation.path, lines)
        covering = [test for test in recorded if test in self._existing]  # some may have other names by now
        some = self._within_budget(covering)
        outcome, by = ("not covered", "") if not some else self._outcome(mutation, some)
        return Verdict(mutation, outcome, lines[0], before, after, by, len(some), len(covering))

    def holds(self, tests: list[str]) -> set[str]:
        """Return those of the tests that pass without a mutation."""
        return {
            test for test in tests if self._sandbox.run([test], START_SECONDS + self._patience([test])) == 0
        }

    def _within_budget(self, tests: list[str]) -> list[str]:
        left, some = self._budget, list[str]()
        for test in tests:
            left -= self._recording.cost(test)
            if some and left < 0:
                break
            some.append(test)
        return some

    def _outcome(self, mutation: Mutation, tests: list[str]) -> tuple[str, str]:
        with self._sandbox.changed(mutation):
            code = self._sandbox.run(tests, START_SECONDS + self._patience(tests))
        match code:
            case 0:
                return "survived", ""
            case 1 | 2 | 4:  # a test failed, could not be collected, or not even be looked for
                return "killed", self._sandbox.first_failure()
            case sandbox.TIMED_OUT:
                return "timed out", ""
        raise RuntimeError(f"pytest exited with {code}: {self._sandbox.output.read_text('utf-8')}")

    def _patience(self, tests: list[str]) -> float:
        return PATIENCE * sum(self._recording.cost(test) for test in tests)


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
        yield Runner(Recording(), Sandbox(Path(folder), redis), budget)
