"""`slipway features`: list, set and unset feature flags, and find those that have expired."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Annotated, TypeVar

import orjson
import typer
from pydantic import JsonValue, ValidationError
from sqlmodel.ext.asyncio.session import AsyncSession

from service import clock
from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run, session_of
from service.config import Settings
from service.domains import DOMAINS
from service.features.flag_commands import (
    NoRulesError,
    flag_history,
    set_flag,
    stored_flag,
    stored_flags,
    unset_flag,
)
from service.features.flag_names import AnyFlag, by_name, describe_unknown_flag
from service.features.kinds import WrongValueError
from service.features.live_settings import live_settings, values_of
from service.features.targeting import MOST_RULES, Rule
from service.models.feature_flag import FeatureFlag
from service.models.row_history import RowHistory
from service.resources.domain import flags_of

app = typer.Typer(
    no_args_is_help=True, help="List, set and unset feature flags; find those that have expired."
)

T = TypeVar("T")

SOON = timedelta(days=14)
Name = Annotated[str, typer.Argument(help="Name of the flag, from `features list`.")]


@app.command("list")
@exit_with_message
def features_list() -> None:
    """List all flags: name, type, value for everybody and its source, number of rules, owner, expiry."""
    settings = load_settings()
    rows = run(_in_session(settings, stored_flags))
    for name, flag in _declared().items():
        value, source = _value(flag, rows.get(name), settings)
        rules = len(rows[name].rules) if name in rows else 0
        expiry = f"expires {flag.expires}" if flag.expires else "stays"
        parts = name, flag.kind.name, f"{_text(value)} ({source})", f"{rules} rules", flag.owner, expiry
        typer.echo("\t".join(parts))
    for name in sorted(rows.keys() - _declared().keys()):
        typer.echo(f"{name}\tset in the database, but not declared in this version")


@app.command("set")
@exit_with_message
def features_set(
    name: Name,
    value: Annotated[str, typer.Argument(help="true, false, text, a number or JSON, by the flag's type.")],
    principal: Annotated[
        list[str] | None,
        typer.Option(help="Only for this principal, such as key:gse3ndxsezxn. Repeat for more."),
    ] = None,
    claim: Annotated[
        list[str] | None, typer.Option(help="Only if a claim has this value: plan=pro. Repeat for more.")
    ] = None,
    percent: Annotated[
        float | None, typer.Option(min=0, max=100, help="Only for this share of the principals.")
    ] = None,
) -> None:
    """Set the value for everybody, or add a rule with --principal, --claim or --percent.

    A rule with the same principals, claims and value is replaced, so a percentage can grow step by step. Takes effect
    everywhere within a second.
    """
    flag = _flag(name)
    parsed = _parsed(flag, value)
    rule = _rule(parsed, principal or [], claim or [], percent)

    async def change(session: AsyncSession) -> None:
        row = await stored_flag(session, name, lock=True)
        rules = [Rule.model_validate(one) for one in row.rules] if row is not None else []
        old = row.value if row is not None else None
        if rule is not None and len(rules := _with_rule(rules, rule)) > MOST_RULES:
            raise CommandError(f"a flag has at most {MOST_RULES} rules; unset {name} to begin again")
        await set_flag(session, flag, row, value=parsed if rule is None else old, rules=rules)

    try:
        run(_in_session(load_settings(), change))
    except NoRulesError as error:
        raise CommandError(str(error), Exit.USAGE) from None
    typer.echo(f"{name} is {_text(parsed)}{'' if rule is None else ' for those whom the rule includes'}")


@app.command("unset")
@exit_with_message
def features_unset(name: Name) -> None:
    """Remove value and rules: the flag has its setting or default again. Also removes undeclared flags."""

    async def change(session: AsyncSession) -> bool:
        row = await stored_flag(session, name, lock=True)
        if row is not None:
            await unset_flag(session, row)
        return row is not None

    found = run(_in_session(load_settings(), change))
    if not found:
        _flag(name)  # for its message
    typer.echo(f"{name} is unset")


@app.command("history")
@exit_with_message
def features_history(name: Name) -> None:
    """Print the last changes of a flag, newest first: time, actor, value and rules."""

    async def look(session: AsyncSession) -> Sequence[RowHistory]:
        return await flag_history(session, await stored_flag(session, name))

    changes = run(_in_session(load_settings(), look))
    if not changes:
        _flag(name)
    for change in changes:
        what = "unset" if change.action == "delete" else _text(change.row["value"])
        rules = _text(change.row["rules"]) if change.row["rules"] else "no rules"
        typer.echo("\t".join([f"{change.at:%Y-%m-%dT%H:%M:%SZ}", change.actor, what, rules]))


@app.command("check")
@exit_with_message
def features_check() -> None:
    """Fail if a flag has expired; name those that expire within two weeks. Needs no database."""
    today = clock.now().date()
    flags = _declared().values()
    for flag in flags:
        if flag.expires is not None and today <= flag.expires < today + SOON:
            typer.echo(f"the feature flag {flag.name} of {flag.owner} expires on {flag.expires}", err=True)
    if expired := [flag for flag in flags if flag.expired]:
        raise CommandError(
            "\n".join(
                f"the feature flag {flag.name} of {flag.owner} expired on {flag.expires}; "
                "remove it, or give it a later date"
                for flag in expired
            )
        )


async def _in_session(settings: Settings, work: Callable[[AsyncSession], Awaitable[T]]) -> T:
    async with session_of(settings) as session:
        return await work(session)


def _declared() -> dict[str, AnyFlag]:
    return by_name((*flags_of(DOMAINS), *live_settings()))


def _flag(name: str) -> AnyFlag:
    declared = _declared()
    if name not in declared:
        raise CommandError(describe_unknown_flag(name, declared), Exit.USAGE)
    return declared[name]


def _parsed(flag: AnyFlag, value: str) -> JsonValue:
    try:
        parsed = flag.kind.parse(value)
        flag.kind.check(parsed)
    except WrongValueError as error:
        raise CommandError(f"the value of {flag.name} {error}", Exit.USAGE) from None
    return parsed


def _rule(value: JsonValue, principals: list[str], claims: list[str], percent: float | None) -> Rule | None:
    """Return the rule that the options of `set` describe; None without options."""
    if not principals and not claims and percent is None:
        return None
    accepted: dict[str, list[str | int | bool]] = {}
    for claim in claims:
        name, equals, text = claim.partition("=")
        if not equals or not name:
            raise CommandError(f"--claim {claim}: write NAME=VALUE", Exit.USAGE)
        accepted.setdefault(name, []).extend(_claim_values(text))
    try:
        return Rule.model_validate(
            {"value": value, "principals": principals, "claims": accepted, "percent": percent}
        )
    except ValidationError as error:
        raise CommandError(error.errors()[0]["msg"], Exit.USAGE) from None


def _claim_values(text: str) -> list[str | int | bool]:
    """Return what a claim may be that looks like the text: `3` is a text or a number."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return [text]
    return [text, value] if isinstance(value, int | bool) else [text]


def _with_rule(rules: list[Rule], new: Rule) -> list[Rule]:
    """Return the rules with one more, in place of a rule that differs by its percentage only."""
    same = [one.model_copy(update={"percent": new.percent}) == new for one in rules]
    if not any(same):
        return [*rules, new]
    return [new if found else one for one, found in zip(rules, same, strict=True)]


def _value(flag: AnyFlag, row: FeatureFlag | None, settings: Settings) -> tuple[JsonValue, str]:
    if row is not None and row.value is not None:
        return row.value, "set"
    if flag.name in (given := values_of(settings)):
        return given[flag.name], "setting"
    return flag.kind.as_json(flag.default), "default"


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else orjson.dumps(value).decode()
