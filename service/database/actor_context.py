"""Setting the actor in PostgreSQL, so that row history names the actor and the request, however a row is written, and
row-level security knows which rows the actor sees."""

from typing import NamedTuple

from service import actor


class ActorContext(NamedTuple):
    """The actor, and the request id, which is empty outside requests; `rows` tells row-level security which rows the
    actor sees, None to tell it nothing."""

    actor: str
    request_id: str
    rows: str | None


def current_context() -> ActorContext | None:
    """Return the context of a transaction that begins now, or None if no actor is set."""
    acting = actor.current()
    if acting is None:
        return None
    rows = acting.rows
    return ActorContext(acting.actor, acting.request_id or "", None if rows is None else rows.told)


def set_context_sql(context: ActorContext) -> str:
    """Return a statement without parameters, sent along with BEGIN; its effect ends with the transaction."""
    settings = {"principal": context.actor, "request_id": context.request_id}
    if context.rows is not None:
        settings["rows"] = context.rows
    calls = (f"set_config('slipway.{name}', {_literal(text)}, true)" for name, text in settings.items())
    return f"SELECT {', '.join(calls)}"


def _literal(text: str) -> str:
    """Return the text as SQL. Hexadecimal never needs escaping."""
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')"
