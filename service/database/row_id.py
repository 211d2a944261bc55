"""Ids of rows on their way to a statement.

asyncpg's own UUIDs are made, hashed and sent in a seventh of the time that `uuid.UUID` takes, but orjson does not write
them: no code of a domain gets one.
"""

from uuid import UUID

from asyncpg.pgproto import pgproto

from service.models.uuid7 import uuid7_hex


def row_id(text: str) -> UUID:
    """Return the id with this text, as asyncpg's UUID."""
    made: UUID = pgproto.UUID(text)
    return made


def new_row_id() -> UUID:
    """Return a new id as `uuid7` makes it, as asyncpg's UUID."""
    made: UUID = pgproto.UUID(uuid7_hex())
    return made


def usual_uuid(item_id: UUID) -> UUID:
    """Return the same id as `uuid.UUID`."""
    return UUID(int=item_id.int)
