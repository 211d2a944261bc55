"""URLs of servers."""

from urllib.parse import urlsplit

from pydantic import SecretStr


def checked_url(value: SecretStr | None, *schemes: str) -> SecretStr | None:
    """Raises `ValueError` for a URL that nobody could connect to; the message holds nothing of it."""
    if value is None:
        return None
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {schemes[0]}://")
    try:
        _ = parts.port
    except ValueError:
        raise ValueError("port is not a number") from None
    return value
