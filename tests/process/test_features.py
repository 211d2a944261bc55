"""Feature flags, from the command line to the response of a running process."""

import asyncio
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import httpx2
import pytest

from service.features import Flag
from service.resources.domain import Domain
from tests.process.conftest import Command, new_key
from tests.process.served import Served, eventually

Features = Callable[..., str]
URL = "/api/v1/features"
SECONDS = 1.0


@pytest.fixture
def features(command: Command, database_url: str) -> Features:
    def run(*arguments: str, code: int = 0) -> str:
        done = command("features", *arguments, database__url=database_url)
        assert done.exit_code == code, done.output
        return done.stdout if code == 0 else done.stderr

    return run


def test_flag_is_set_targeted_and_unset_by_commands(
    shared: Served, features: Features, database_url: str
) -> None:
    key, other = [asyncio.run(new_key(database_url, "features:read")) for _ in range(2)]

    def seen(key: str) -> Any:
        response: httpx2.Response = shared.api.get(URL, headers={"X-API-Key": key})
        return {item["name"]: item["value"] for item in response.json()["items"]}["page_size"]

    features("set", "page_size", "30")
    began = changed = time.monotonic()
    while seen(key) != 30:
        assert began < changed + SECONDS
        began = time.monotonic()
    features("set", "page_size", "40", "--percent", "0")
    features("set", "page_size", "40", "--percent", "100")
    features("set", "page_size", "50", "--principal", f"key:{key.split('_')[1]}", "--claim", "plan=pro")
    assert "page_size\tinteger\t30 (set)\t2 rules\tshop\tstays" in features("list")
    assert eventually(lambda: seen(other) == 40, seconds=5)
    assert features("unset", "page_size") == "page_size is unset\n"
    assert eventually(lambda: seen(key) == 20, seconds=5)
    newest, *_, first = features("history", "page_size").splitlines()[:5]
    assert newest.endswith("\tcli:features_unset\tunset\tno rules")
    assert first.endswith("\tcli:features_set\t30\tno rules")
    assert b'slipway_feature_evaluations_total{flag="page_size",variant="rule_1"}' in (
        shared.admin.get("/metrics").content
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set", "page_sise", "1"), "There is no feature flag page_sise. Did you mean page_size?"),
        (("history", "nothing"), "There is no feature flag nothing."),
        (("set", "page_size", "many"), "the value of page_size must be a whole number"),
        (("set", "page_size", "1", "--claim", "plan"), "--claim plan: write NAME=VALUE"),
        (
            ("set", "logging_level", "loud"),
            "the value of logging_level must be one of debug, info, warning, error",
        ),
        (
            ("set", "logging_access_sample", "2"),
            "the value of logging_access_sample must be less than or equal to 1",
        ),
        (
            ("set", "logging_level", "debug", "--percent", "10"),
            "logging_level is a setting of the whole service and takes no rules",
        ),
    ],
)
def test_wrong_arguments_are_a_line(features: Features, arguments: tuple[str, ...], message: str) -> None:
    assert features(*arguments, code=2) == f"slipway: {message}\n"


def test_live_setting_is_set_by_its_variable(command: Command, database_url: str) -> None:
    done = command("check", feature__flags='{"logging_level": "debug"}')
    assert "logging_level is not set here, but in SLIPWAY_LOGGING__LEVEL" in done.stderr
    listed = command("features", "list", logging__level="error", database__url=database_url)
    assert "logging_level\tstring\terror (setting)\t0 rules\tslipway\tstays" in listed.stdout, listed.output


def test_check_fails_on_expired_flags_only(features: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    def flag(name: str, expires: date) -> Flag[bool]:
        return Flag(name, default=False, description="A test.", owner="web", expires=expires)

    def check(*flags: Flag[bool], code: int) -> str:
        monkeypatch.setattr("service.cli.features.DOMAINS", (Domain("x", flags=flags),))
        return features("check", code=code)

    fresh, old = flag("fresh", date(2999, 1, 1)), flag("old", date(2026, 1, 31))
    assert check(fresh, code=0) == ""
    expired = (
        "slipway: the feature flag old of web expired on 2026-01-31; remove it, or give it a later date\n"
    )
    assert check(fresh, old, code=1) == expired
