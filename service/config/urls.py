"""Checks URLs of PostgreSQL and Redis."""

from urllib.parse import SplitResult, parse_qs, urlsplit

from pydantic import SecretStr

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def checked_url(value: SecretStr | None, *schemes: str) -> SplitResult | None:
    """Return the parts of the URL, or None for None.

    Raises `ValueError` for an unusable URL; the message contains no part of the URL.
    """
    if value is None:
        return None
    parts = urlsplit(value.get_secret_value())
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {schemes[0]}://")
    try:
        _ = parts.port
    except ValueError:
        if "," in parts.netloc.rpartition("@")[2]:
            raise ValueError("must name one host") from None
        raise ValueError("port is not a number") from None
    return parts


def check_ssl_mode(parts: SplitResult) -> None:
    """Raise `ValueError` for an `sslmode` that PostgreSQL does not have (libpq, section 32.19.3)."""
    modes = parse_qs(parts.query, keep_blank_values=True).get("sslmode", [])
    if not set(modes) <= set(SSL_MODES):
        raise ValueError(f"sslmode must be one of {', '.join(SSL_MODES)}")


def check_redis_database(parts: SplitResult) -> None:
    """Raise `ValueError` for a path that is not a database number: redis-py would use 0 instead."""
    number = parts.path.strip("/")
    if parts.scheme != "unix" and number and not (number.isascii() and number.isdigit()):
        raise ValueError("path must be the number of a database, such as /0")


def host_and_port(text: str, *, default: int) -> tuple[str, int]:
    """Return the host and port of `host`, `host:port` or `[IPv6 address]:port`. Raises `ValueError`."""
    parts = urlsplit(f"//{text}")
    if parts.netloc != text or "@" in text or not parts.hostname or any(map(str.isspace, text)):
        raise ValueError("is not host or host:port")
    port = default if parts.port is None else parts.port
    if port == 0:
        raise ValueError("is not host or host:port")
    return parts.hostname, port
