"""The client's address and the URL that the client used, from the headers of trusted proxies.

Each proxy appends the address of its caller to `X-Forwarded-For`, so the list is read from the right: an entry counts
if a trusted proxy wrote it, up to the number of trusted hops. Anyone may have written the entries further left.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from service.config.server import ServerSettings
from service.http.middleware.public_path import forwarded_path
from service.http.middleware.state import Fields

Address = IPv4Address | IPv6Address
_LONGEST_ENTRY = 64  # an IPv6 address with a zone, brackets and a port
_KNOWN_PEERS = 1024
_FORWARDED = frozenset({b"x-forwarded-for", b"x-forwarded-proto", b"x-forwarded-prefix"})


class TrustedProxies:
    """The proxies in front of this service: which ones are trusted, and how many in a row."""

    def __init__(self, settings: ServerSettings) -> None:
        names = settings.trusted_proxies
        self._anyone = "*" in names
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(name, strict=False) for name in names if name != "*"
        ]
        self._hops = settings.trusted_hops
        self._trusts_peer = lru_cache(_KNOWN_PEERS)(lambda peer: self._trusts(_address(peer)))

    def unveil(self, scope: Scope, fields: Fields) -> None:
        """Replace the proxy's address, scheme and public path with the client's, as far as proxies are trusted."""
        peer = scope["client"]
        if _FORWARDED.isdisjoint(fields) or peer is None or not self._trusts_peer(peer[0]):
            return
        entries = [entry for value in fields.get(b"x-forwarded-for", ()) for entry in value.split(b",")]
        for value in fields.get(b"x-forwarded-proto", ()):
            scheme = value.rpartition(b",")[2].strip().lower()
            if scheme in {b"http", b"https"}:
                scope["scheme"] = scheme.decode()
        scope["root_path"] = forwarded_path(fields.get(b"x-forwarded-prefix", []))
        if entries and (client := self._client(peer[0], entries)) is not None:
            scope["client"] = str(client), 0

    def _client(self, peer: str, entries: list[bytes]) -> Address | None:
        """Return the farthest address that a trusted proxy vouches for; None if that is the peer."""
        found, writer = None, _address(peer)
        for entry in reversed(entries[-self._hops :]):
            if not self._trusts(writer) or (entry_address := _entry(entry)) is None:
                break
            found = writer = entry_address
        return found

    def _trusts(self, address: Address | None) -> bool:
        return self._anyone or (address is not None and any(address in net for net in self._networks))


class NoProxies:
    """Trusts no proxy: the client is the peer that opened the connection."""

    def unveil(self, scope: Scope, fields: Fields) -> None:
        pass


def _entry(value: bytes) -> Address | None:
    """Parse an entry of `X-Forwarded-For`: an address, IPv6 in brackets or bare, with or without a port."""
    text = value.decode("latin-1").strip().strip('"')
    if len(text) > _LONGEST_ENTRY:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _address(text)


def _address(text: str) -> Address | None:
    """Parse an address; IPv4 mapped to IPv6 becomes IPv4 (RFC 4291, 2.5.5.2). None if it is not an address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
