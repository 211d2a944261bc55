"""Setting the actor in PostgreSQL, so that row history names the actor and the request, however a row is written."""

from service import actor

ActorContext = tuple[str, str]
"""The actor, and the request id; the id is empty outside requests."""


def current_context() -> ActorContext | None:
    """Return the context of a transaction that begins now, or None if no actor is set."""
    acting = actor.current()
    return None if acting is None else (acting.actor, acting.request_id or "")


def set_context_sql(context: ActorContext) -> str:
    """Return a statement without parameters, sent along with BEGIN; its effect ends with the transaction."""
    principal, request_id = (_literal(text) for text in context)
    return (
        f"SELECT set_config('slipway.principal', {principal}, true), "
        f"set_config('slipway.request_id', {request_id}, true)"
    )


def _literal(text: str) -> str:
    """Return the text as SQL. Hexadecimal never needs escaping."""
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')"
