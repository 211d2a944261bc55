"""The encoding of the database: only UTF8 stores every text that the API accepts."""

NEEDED = "UTF8"
QUERY = "(SELECT current_setting('server_encoding'))"


def refusal(encoding: str) -> str:
    """Return why a database with this encoding is refused, and what to do; empty for UTF8.

    With another encoding, single requests would fail later; SQL_ASCII would store bytes without knowing characters. An
    encoding cannot be changed afterwards.
    """
    if encoding == NEEDED:
        return ""
    return (
        f"the database's encoding is {encoding}, but {NEEDED} is required: create a database with "
        f"ENCODING '{NEEDED}' LOCALE 'C.UTF-8' TEMPLATE template0 and configure that one"
    )
