"""Telling PostgreSQL who acts, so that row history names the actor and the request whatever writes a row."""

from service import actor

Stamp = tuple[str, str]
"""The actor and the request id, empty outside of requests."""


def current_stamp() -> Stamp | None:
    """What a transaction that begins now is told; None where nobody has said who acts."""
    acting = actor.current()
    return None if acting is None else (acting.actor, acting.request_id or "")


def stamping(stamp: Stamp) -> str:
    """A statement without parameters, to be sent along with BEGIN: it lasts as long as the transaction."""
    principal, request_id = (_literal(text) for text in stamp)
    return (
        f"SELECT set_config('slipway.principal', {principal}, true), "
        f"set_config('slipway.request_id', {request_id}, true)"
    )


def _literal(text: str) -> str:
    """The text as SQL. In hexadecimal there is nothing to escape, whatever a principal is called."""
    return f"convert_from(decode('{text.encode().hex()}', 'hex'), 'UTF8')"
