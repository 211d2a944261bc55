"""What a flag answers, for each source of its value and for each kind of rule."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from service import clock
from service.actor import Actor, acting_as
from service.config.loading import SettingsError, load
from service.features import Flag, FlagError
from service.features.flag_names import by_name
from service.features.flag_state import FlagState
from service.features.kinds import WrongValueError
from service.features.targeting import Rule, _slice
from service.resources.domain import settings_of
from service.security.principals import Principal
from tests.shop import SHOP
from tests.shop.flags import FLAGS, Banner, banner, discount, greeting, page_size, value_of_active

ANNA = Principal("key:anna", frozenset(), {"plan": "pro", "groups": ["a", "b"], "org": {"tier": 2}})
BERT = Principal("key:bert", frozenset(), {"plan": "free", "tier": True})
NEEDED: dict[str, Any] = {"description": "Something.", "owner": "team", "expires": None}


@contextmanager
def in_force(flag: Flag[Any], value: Any, *rules: dict[str, Any]) -> Iterator[None]:
    """A request that began with this state."""
    state = FlagState(flag.name, flag.kind, value, "database", [Rule.model_validate(rule) for rule in rules])
    with acting_as(Actor("test", flags={flag.name: state})):
        yield


def test_flag_has_its_default_outside_requests() -> None:
    assert value_of_active(ANNA) is False
    assert value_of_active.evaluate().reason == "default"


def test_first_rule_that_includes_the_principal_wins() -> None:
    rules = ({"principals": ["key:anna"], "value": "first"}, {"claims": {"plan": ["pro"]}, "value": "second"})
    with in_force(greeting, "base", *rules):
        assert (greeting(ANNA), greeting(BERT), greeting()) == ("first", "base", "base")
        assert [greeting.evaluate(one).variant for one in (ANNA, BERT)] == ["rule_1", "value"]
        assert [greeting.evaluate(one).reason for one in (ANNA, BERT)] == ["targeting_match", "static"]


@pytest.mark.parametrize(
    ("claims", "includes"),
    [
        ({"plan": ["pro", "team"]}, True),
        ({"plan": ["team"]}, False),
        ({"groups": ["b"]}, True),
        ({"groups": ["c"]}, False),
        ({"org.tier": [2]}, True),
        ({"org.tier": [True]}, False),
        ({"org.tier": ["2"]}, False),
        ({"plan": ["pro"], "groups": ["c"]}, False),
        ({"absent": ["x"]}, False),
    ],
)
def test_all_claims_of_a_rule_must_hold(claims: dict[str, list[object]], *, includes: bool) -> None:
    with in_force(value_of_active, False, {"claims": claims, "value": True}):
        assert value_of_active(ANNA) is includes
        assert value_of_active(BERT) is False


def test_one_is_not_true_in_claims() -> None:
    with in_force(value_of_active, False, {"claims": {"tier": [1]}, "value": True}):
        assert value_of_active(BERT) is False


def test_percentage_is_right_stable_and_grows_by_adding_principals() -> None:
    callers = [Principal(f"key:{number}", frozenset()) for number in range(4000)]
    chosen = {}
    for percent in (0, 10, 25.5, 100):
        with in_force(value_of_active, False, {"percent": percent, "value": True}):
            chosen[percent] = {caller.id for caller in callers if value_of_active(caller)}
    shares = [len(chosen[percent]) / 40 for percent in chosen]
    assert shares == pytest.approx([0, 10, 25.5, 100], abs=2)
    assert chosen[0] < chosen[10] < chosen[25.5] < chosen[100]
    # These never change: with another hash, every roll-out would reach other principals.
    first = sorted(chosen[10], key=lambda name: int(name[4:]))[:4]
    assert first == ["key:4", "key:18", "key:47", "key:48"]


def test_flag_expires_after_its_day() -> None:
    today = clock.now().date()
    for days, expired in ((0, False), (1, True)):
        flag = Flag("going", default=False, **NEEDED | {"expires": today - timedelta(days=days)})
        assert flag.expired is expired


def test_first_slice_is_in_from_a_hundredth_of_a_percent_on() -> None:
    principals = (Principal(f"key:{number}", frozenset()) for number in range(10**6))
    first = next(one for one in principals if _slice("f", one.id) == 0)
    for percent, is_in in ((0, False), (0.01, True)):
        assert Rule(percent=percent, value=True).includes("f", first) is is_in


def test_two_flags_choose_different_principals() -> None:
    rule = Rule(percent=50, value=True)
    callers = [Principal(f"key:{number}", frozenset()) for number in range(1000)]
    same = sum(rule.includes("a", caller) == rule.includes("b", caller) for caller in callers)
    assert 400 < same < 600


@pytest.mark.parametrize(
    ("flag", "given", "seen"),
    [
        (value_of_active, True, True),
        (greeting, "ciao", "ciao"),
        (page_size, 5, 5),
        (discount, 2, 2.0),
        (banner, {"text": "x", "until": "2027-01-31"}, Banner(text="x", until=date(2027, 1, 31))),
    ],
)
def test_each_type_takes_its_values(flag: Flag[Any], given: Any, seen: Any) -> None:
    assert flag.kind.check(given) == seen
    assert type(flag.kind.check(given)) is type(seen)


@pytest.mark.parametrize(
    ("flag", "given", "message"),
    [
        (value_of_active, 1, "must be true or false"),
        (value_of_active, "true", "must be true or false"),
        (greeting, 1, "must be text"),
        (page_size, 1.5, "must be a whole number"),
        (page_size, True, "must be a whole number"),
        (discount, True, "must be a number"),
        (discount, "1", "must be a number"),
        (banner, [], "must be a JSON object"),
        (banner, {"seconds": 0}, "is wrong at seconds: input should be greater than or equal to 1"),
        (greeting, "x" * 10_001, "must have at most 10000 bytes as JSON"),
    ],
)
def test_each_type_refuses_other_values(flag: Flag[Any], given: Any, message: str) -> None:
    with pytest.raises(WrongValueError, match=f"^{message}$"):
        flag.kind.check(given)


def test_caller_cannot_change_the_value_of_a_flag() -> None:
    limits = Flag("limits", default={"rows": [1]}, **NEEDED)
    with in_force(limits, {"rows": [2]}):
        limits()["rows"].append(3)
        assert limits() == {"rows": [2]}


def test_rule_needs_a_condition() -> None:
    with pytest.raises(ValidationError, match="needs principals, claims or percent"):
        Rule(value=True)


@pytest.mark.parametrize(
    ("name", "default", "more", "message"),
    [
        ("New", True, {}, "'New': a flag's name has"),
        ("a" * 64, True, {}, "at most 63"),
        ("a", None, {}, "not a NoneType"),
        ("a", True, {"owner": " "}, "needs a description and an owner"),
    ],
)
def test_wrong_declarations_are_refused(name: str, default: Any, more: dict[str, Any], message: str) -> None:
    with pytest.raises(FlagError, match=message):
        Flag(name, default=default, **NEEDED | more)
    with pytest.raises(FlagError, match="greeting: two flags have this name"):
        by_name([greeting, Flag("greeting", default=True, **NEEDED)])


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ('{"greting": "x"}', "There is no feature flag greting. Did you mean greeting?"),
        ('{"page_size": "x"}', "the flag page_size must be a whole number"),
        ("[]", "must be a JSON object"),
    ],
)
def test_settings_refuse_what_fits_no_flag(given: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPWAY_FEATURE__FLAGS", given)
    monkeypatch.setenv("SLIPWAY_APP__ENVIRONMENT", "test")
    with pytest.raises(SettingsError) as caught:
        load(settings_of([SHOP]))
    [line] = caught.value.reasons
    assert line.startswith("SLIPWAY_FEATURE__FLAGS: ")
    assert reason in line


def test_every_flag_of_the_shop_has_another_type() -> None:
    assert [flag.kind.name for flag in FLAGS] == ["boolean", "string", "integer", "number", "json"]
