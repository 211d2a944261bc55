"""TLS to PostgreSQL: which certificates to trust."""

import ssl

from service.config import DatabaseSettings

VERIFIED = ("verify-ca", "verify-full")


def ssl_argument(settings: DatabaseSettings) -> ssl.SSLContext | str:
    """Return asyncpg's argument `ssl`: the name of a mode, or a context that verifies certificates.

    As with libpq, `require` also verifies if a root certificate is given. Unlike with libpq, `verify-ca` and
    `verify-full` trust the system's certificates if none is.
    """
    root = settings.ssl_root_cert
    if root is None and settings.ssl not in VERIFIED:
        return settings.ssl
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = settings.ssl == "verify-full"
    return context
