"""TLS to PostgreSQL: which certificates to trust, and which one to show."""

import ssl

from service.config import DatabaseSettings

VERIFIED = ("verify-ca", "verify-full")


def ssl_argument(settings: DatabaseSettings) -> ssl.SSLContext | str:
    """Return asyncpg's argument `ssl`: the name of a mode, or a context that verifies certificates.

    As with libpq, `require` also verifies if a root certificate is given. Unlike with libpq, `verify-ca` and
    `verify-full` trust the system's certificates if none is.
    """
    root, certificate = settings.ssl_root_cert, settings.ssl_cert
    verified = root is not None or settings.ssl in VERIFIED
    if not verified and certificate is None:
        return settings.ssl
    context = ssl.create_default_context(cafile=root)
    context.check_hostname = settings.ssl == "verify-full"
    if not verified:
        context.verify_mode = ssl.CERT_NONE
    if certificate is not None:
        context.load_cert_chain(certificate, settings.ssl_key)
    return context
