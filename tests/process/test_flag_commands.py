"""`slipway features`: how rules are added, and what is listed."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import asyncpg
import orjson
import pytest

from service.cli.runtime import exit_with_message
from service.features import Flag
from service.resources.domain import Domain
from tests.conftest import DatabaseFactory
from tests.process.conftest import Command

Features = Callable[..., str]
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def features(command: Command, database_url: str) -> Iterator[Features]:
    def run(*arguments: str, code: int = 0) -> str:
        done = command("features", *arguments, database__url=database_url)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    yield run
    run("unset", "discount")


def _rules(features: Features) -> list[dict[str, object]]:
    """The rules of the newest change of a flag, without what they leave open."""
    rules = features("history", "discount").splitlines()[0].split("\t")[3]
    return [{name: value for name, value in rule.items() if value} for rule in orjson.loads(rules)]


def test_rules_keep_their_order_and_end_with_the_flag(
    features: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = ["--claim", "plan=pro", "--claim", "plan=3", "--claim", "size=1.5"]
    features("set", "discount", "1.5", "--principal", "key:a", "--percent", "10")
    features("set", "discount", "2.5", *claims)
    features("set", "discount", "1.5", "--principal", "key:a", "--percent", "20")
    features("set", "discount", "3.5")
    first = {"value": 1.5, "principals": ["key:a"], "percent": 20.0}
    second = {"value": 2.5, "claims": {"plan": ["pro", "3", 3], "size": ["1.5"]}}
    assert _rules(features) == [first, second]
    monkeypatch.setattr("service.cli.features.MOST_RULES", 2)
    refused = features("set", "discount", "4.5", "--principal", "key:b", code=1)
    assert refused == "slipway: a flag has at most 2 rules; unset discount to begin again\n"
    features("unset", "discount")
    features("set", "discount", "5.5", "--principal", "key:c")
    assert _rules(features) == [{"value": 5.5, "principals": ["key:c"]}]
    assert "discount\tnumber\t0.5 (default)\t1 rules\tshop\tstays\n" in features("list")


def test_database_precedes_settings_and_may_hold_undeclared_flags(
    command: Command, fresh_database: DatabaseFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = fresh_database()

    def features(*arguments: str) -> str:
        return command("features", *arguments, database__url=url, logging__level="error").stdout

    features("set", "logging_level", "warning")
    features("set", "discount", "1.5")
    assert "logging_level\tstring\twarning (set)\t0 rules" in features("list")
    features("unset", "logging_level")
    assert "logging_level\tstring\terror (setting)\t0 rules" in features("list")
    monkeypatch.setattr("service.cli.features.DOMAINS", ())
    assert "discount\tset in the database, but not declared in this version\n" in features("list")
    assert features("unset", "discount") == "discount is unset\n"
    assert "discount" not in features("list")


NO_LOCK = (
    "what another process holds was not free within SLIPWAY_DATABASE__LOCK_TIMEOUT: "
    "canceling statement due to lock timeout"
)
NO_TIME = "the database gave up: canceling statement due to statement timeout"


@pytest.mark.parametrize(
    ("arguments", "limit", "message"),
    [
        (("set", "discount", "1.5"), "lock_timeout", NO_LOCK),
        (("unset", "discount"), "lock_timeout", NO_LOCK),
        (("unset", "discount"), "statement_timeout", NO_TIME),
    ],
)
async def test_change_that_gets_no_lock_says_so(
    command: Command, database_url: str, arguments: tuple[str, ...], limit: str, message: str
) -> None:
    other = await asyncpg.connect(database_url)
    try:
        async with other.transaction():
            await other.execute("SELECT pg_advisory_xact_lock(hashtext('slipway feature flags'))")
            given = {"database__url": database_url, f"database__{limit}": "0.05"}
            waited = await asyncio.to_thread(command, "features", *arguments, **given)
    finally:
        await other.close()
    assert (waited.exit_code, waited.stderr) == (4, f"slipway: {message}\n")


def test_deadlock_of_a_command_is_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    @exit_with_message
    def purge() -> None:
        raise asyncpg.DeadlockDetectedError("deadlock detected")

    with pytest.raises(SystemExit) as ended:
        purge()
    assert ended.value.code == 4
    assert capsys.readouterr().err == "slipway: the database rolled this back, try again: deadlock detected\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("unset", "nothing"), "There is no feature flag nothing."),
        (("set", "discount", "1", "--claim", "=pro"), "--claim =pro: write NAME=VALUE"),
    ],
)
def test_unknown_flag_and_claim_without_a_name_are_refused(
    features: Features, arguments: tuple[str, ...], message: str
) -> None:
    assert features(*arguments, code=2) == f"slipway: {message}\n"


def test_flags_that_expire_within_two_weeks_are_named(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    def flag(days: int) -> Flag[bool]:
        expires = (NOW + timedelta(days=days)).date()
        return Flag(f"in_{days}", default=False, description="A test.", owner="web", expires=expires)

    flags = tuple(map(flag, (0, 13, 14)))
    monkeypatch.setattr("service.clock.now", lambda: NOW)
    monkeypatch.setattr("service.cli.features.DOMAINS", (Domain("x", flags=flags),))
    done = command("features", "check")
    assert (done.exit_code, done.stdout) == (0, "")
    assert done.stderr == (
        "the feature flag in_0 of web expires on 2026-03-01\n"
        "the feature flag in_13 of web expires on 2026-03-14\n"
    )
