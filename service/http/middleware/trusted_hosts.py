"""The host names that the service answers to. Others are refused (RFC 9110, 7.4)."""

import re
from collections.abc import Iterable

_PORT = re.compile(rb":[0-9]*\Z")


class TrustedHosts:
    """Names without ports, in lower case; `*.shop.example` matches every name under `shop.example`."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._exact = frozenset(name.encode() for name in names if not name.startswith("*."))
        self._endings = tuple(name[1:].encode() for name in names if name.startswith("*."))

    def include(self, host: bytes) -> bool:
        """Whether the value of a `Host` field is one of the names, with any port."""
        name = _PORT.sub(b"", host.lower())
        return name in self._exact or name.endswith(self._endings)


class AnyHost:
    """Accepts every host name."""

    def include(self, host: bytes) -> bool:  # noqa: ARG002  # as `TrustedHosts`
        return True
