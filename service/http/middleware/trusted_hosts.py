"""Which host names the service answers to (RFC 9110, 7.4: a request that went to the wrong host is refused)."""

import re
from collections.abc import Iterable

_PORT = re.compile(rb":[0-9]*\Z")


class TrustedHosts:
    """Names without ports, in lower case; `*.shop.example` is every name under `shop.example`."""

    def __init__(self, names: Iterable[str]) -> None:
        names = tuple(names)
        self._exact = frozenset(name.encode() for name in names if not name.startswith("*."))
        self._endings = tuple(name[1:].encode() for name in names if name.startswith("*."))

    def include(self, host: bytes) -> bool:
        """Whether the value of a `Host` field names one of them, with any port."""
        name = _PORT.sub(b"", host.lower())
        return name in self._exact or name.endswith(self._endings)


class AnyHost:
    """Accepts every host name."""

    def include(self, host: bytes) -> bool:  # noqa: ARG002  # as `TrustedHosts`
        return True
