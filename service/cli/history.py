"""`slipway history`: erase values from row history."""

from typing import Annotated
from uuid import UUID

import typer

from service.cli.command_settings import load_settings
from service.cli.errors import CommandError, Exit
from service.cli.runtime import exit_with_message, run
from service.config import Settings
from service.database import Database
from service.domains import DOMAINS
from service.migrations import runner
from service.resources.declaration import RestResource
from service.resources.domain import resources_of
from service.resources.history.erase_history import erase_history
from service.resources.history.errors import ErasureError, HistoryPrivilegeError

app = typer.Typer(no_args_is_help=True, help="Erase values from row history.")


@app.callback()
def group() -> None:
    """Keep `erase` a subcommand, although it is the only one."""


@app.command()
@exit_with_message
def erase(
    resource: Annotated[str, typer.Argument(help="Path of the resource, such as orders.")],
    item: Annotated[UUID, typer.Argument(metavar="ID", help="Id of the item.")],
    field: Annotated[list[str], typer.Option(help="A field to erase. Repeat the option to erase several.")],
) -> None:
    """Erase values of an item from all versions of its history: null, or `erased` where a text is required.

    The versions stay, with their time, author and request. The item itself stays as it is: change or delete it first.
    Stored backups are not changed either. Run it as the role that migrates.

    Exit codes: 0 done, 1 no history or no privilege, 2 unknown resource or field, 4 database unreachable, 7 database
    not at the head.
    """
    known = {one.path: one for one in resources_of(DOMAINS) if not one.is_view}
    if resource not in known:
        names = ", ".join(known) or "none"
        raise CommandError(f"there is no resource {resource}; resources: {names}", Exit.USAGE)
    count = run(_erase(load_settings(), known[resource], item, field))
    if not count:
        raise CommandError(f"{resource} has no history of {item}")
    typer.echo(f"erased {', '.join(field)} from {count} versions")


async def _erase(settings: Settings, resource: RestResource, item: UUID, fields: list[str]) -> int:
    await runner.check(settings)
    database = Database(settings)
    await database.start()
    try:
        return await erase_history(database, resource, item, fields)
    except ErasureError as error:
        raise CommandError(str(error), Exit.USAGE) from None
    except HistoryPrivilegeError as error:
        raise CommandError(str(error)) from None
    finally:
        await database.stop()
