"""Setting the actor in PostgreSQL, so that row history names the actor and the request, however a row is written."""

from service import actor

Stamp = tuple[str, str]
"""Return the actor and the request id, which is empty outside requests."""


def current_stamp() -> Stamp | None:
    """Return the context of a transaction that begins now, or None if no actor is set."""
    acting = actor.current()
    return None if acting is None else (acting.actor, acting.request_id or "")


def stamping(stamp: Stamp) -> str:
    """Return a statement without parameters, sent along with BEGIN; its effect ends with the transaction."""
    principal, request_id = (_literal(text) for text in stamp)
    return (
        f"SELECT set_config('slipway.principal', {principal}, true), "
        f"set_config('slipway.request_id', {request_id}, true)"
    )


def _literal(text: str) -> str:
    """Return the text as SQL. Hexadecimal needs no escaping, whatever the principal's name."""
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')"
