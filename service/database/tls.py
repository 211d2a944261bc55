"""TLS to servers that this process calls: whom it believes."""

import ssl

from service.config import DatabaseSettings

VERIFIED = ("verify-ca", "verify-full")


def ssl_argument(settings: DatabaseSettings) -> ssl.SSLContext | str:
    """asyncpg's argument `ssl`: a mode by its name, or a context that verifies.

    As with libpq, `require` verifies too once a root certificate is named. Unlike it, `verify-ca` and `verify-full`
    believe the system's authorities where none is.
    """
    root = settings.ssl_root_cert
    if root is None and settings.ssl not in VERIFIED:
        return settings.ssl
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = settings.ssl == "verify-full"
    return context
