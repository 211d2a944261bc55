"""The encoding of the database: only UTF8 stores every text that the API accepts."""

NEEDED = "UTF8"
QUERY = "(SELECT current_setting('server_encoding'))"


def refusal(encoding: str) -> str:
    """Why a database of this encoding is refused, and what to do; empty for the right one.

    A migrated database of another encoding would refuse values later, one request at a time; SQL_ASCII would store
    them without knowing what a character is. An encoding cannot be changed afterwards.
    """
    if encoding == NEEDED:
        return ""
    return (
        f"the database's encoding is {encoding}, but {NEEDED} is needed: create a database with "
        f"ENCODING '{NEEDED}' LOCALE 'C.UTF-8' TEMPLATE template0 and name that one"
    )
