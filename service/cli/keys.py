"""`slipway keys`: create, list and revoke API keys."""

from datetime import datetime, timedelta
from typing import Annotated

import typer

from service import clock
from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run, session_of
from service.config import Settings
from service.main import create_app
from service.models.api_key import ApiKey
from service.security.api_keys.commands import NoSuchKeyError, create_key, list_keys, revoke_key
from service.security.scope_names import SCOPE, describe_unknown

app = typer.Typer(no_args_is_help=True, help="Create, list and revoke API keys.")


@app.command()
@exit_with_message
def create(
    name: Annotated[str, typer.Option(help="What the key is for.")],
    scope: Annotated[
        list[str], typer.Option(help="A scope, such as orders:read. Repeat the option to grant several.")
    ],
    claim: Annotated[
        list[str] | None,
        typer.Option(help="A claim, such as tenant=acme: what owners of items are told by. Repeatable."),
    ] = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days until the key expires. [default: never]")
    ] = None,
) -> None:
    """Create a key and print it to standard output. It cannot be shown again."""
    settings = load_settings()
    known = create_app(settings).state.scopes
    shaped = [one for one in scope if SCOPE.fullmatch(one)]  # `create_key` reports the others
    if unknown := [text for one in shaped if (text := describe_unknown(one, known))]:
        raise CommandError("\n".join(unknown), Exit.USAGE)
    expires_at = clock.now() + timedelta(days=days) if days is not None else None
    claims = dict(map(_claim, claim or ()))
    key, text = run(_create(settings, name=name, scopes=scope, claims=claims, expires_at=expires_at))
    until = f"until {key.expires_at:%Y-%m-%d %H:%M} UTC" if key.expires_at else "no expiry"
    typer.echo(
        f"key {key.prefix} with {', '.join(key.scopes)}, {until}; copy it now, it cannot be shown again",
        err=True,
    )
    typer.echo(text)


@app.command("list")
@exit_with_message
def list_() -> None:
    """List all keys, oldest first, with expiry and last use (to the minute), without secrets."""
    for key in run(_list(load_settings())):
        times = f"expires {_time(key.expires_at)}", f"last used {_time(key.last_used_at)}"
        claims = [f"{name}={value}" for name, value in sorted(key.claims.items())]
        typer.echo("\t".join([key.prefix, _state(key), ",".join(key.scopes), key.name, *times, *claims]))


@app.command()
@exit_with_message
def revoke(
    prefix: Annotated[str, typer.Argument(help="Prefix of the key, from `keys list`.")],
) -> None:
    """Revoke a key. It stops working everywhere within SLIPWAY_SECURITY__KEY_CACHE_SECONDS."""
    try:
        run(_revoke(load_settings(), prefix))
    except NoSuchKeyError:
        raise CommandError(f"there is no key with the prefix {prefix}") from None
    typer.echo(f"key {prefix} revoked")


def _claim(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise CommandError(f"--claim {text}: write it as name=value, such as tenant=acme", Exit.USAGE)
    return name, value


def _time(when: datetime | None) -> str:
    return "never" if when is None else f"{when:%Y-%m-%dT%H:%MZ}"


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is not None and key.expires_at <= clock.now():
        return "expired"
    return "active"


async def _create(
    settings: Settings, *, name: str, scopes: list[str], claims: dict[str, str], expires_at: datetime | None
) -> tuple[ApiKey, str]:
    try:
        async with session_of(settings) as session:
            return await create_key(session, name=name, scopes=scopes, claims=claims, expires_at=expires_at)
    except ValueError as error:
        raise CommandError(str(error), Exit.USAGE) from None


async def _list(settings: Settings) -> list[ApiKey]:
    async with session_of(settings) as session:
        return list(await list_keys(session))


async def _revoke(settings: Settings, prefix: str) -> None:
    async with session_of(settings) as session:
        await revoke_key(session, prefix)
