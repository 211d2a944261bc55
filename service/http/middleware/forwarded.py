"""The client's address and the URL that the client used, from the headers of trusted proxies.

Each proxy appends the address that it was called from to `X-Forwarded-For`, so the list is read from its right end, and
only as far as proxies are trusted: an entry counts when the one who wrote it is a trusted proxy, and no more of them
count than there are hops. All that is left of that was written by who knows whom.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.types import Scope

from service.config.server import ServerSettings
from service.http.middleware.public_path import forwarded_path

Address = IPv4Address | IPv6Address
_LONGEST_ENTRY = 64  # an IPv6 address with a zone, brackets and a port
_KNOWN_PEERS = 1024


class TrustedProxies:
    """The proxies before this service: which are trusted, and how many in a row."""

    def __init__(self, settings: ServerSettings) -> None:
        names = settings.trusted_proxies
        self._anyone = "*" in names
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(name, strict=False) for name in names if name != "*"
        ]
        self._hops = settings.trusted_hops
        self._trusts_peer = lru_cache(_KNOWN_PEERS)(lambda peer: self._trusts(_address(peer)))

    def unveil(self, scope: Scope) -> None:
        """Replace the proxy's address, scheme and public path with the client's, as far as proxies are trusted."""
        peer = scope["client"]
        if peer is None or not self._trusts_peer(peer[0]):
            return
        entries: list[bytes] = []
        prefixes: list[bytes] = []
        for name, value in scope["headers"]:
            if name == b"x-forwarded-for":
                entries += value.split(b",")
            elif name == b"x-forwarded-prefix":
                prefixes.append(value)
            elif name == b"x-forwarded-proto":
                scheme = value.rpartition(b",")[2].strip().lower()
                if scheme in {b"http", b"https"}:
                    scope["scheme"] = scheme.decode()
        scope["root_path"] = forwarded_path(prefixes)
        if entries and (client := self._client(peer[0], entries)) is not None:
            scope["client"] = str(client), 0

    def _client(self, peer: str, entries: list[bytes]) -> Address | None:
        """The farthest address that a trusted proxy vouches for; None when that is the peer."""
        found, teller = None, _address(peer)
        for entry in reversed(entries[-self._hops :]):
            if not self._trusts(teller) or (told := _entry(entry)) is None:
                break
            found = teller = told
        return found

    def _trusts(self, address: Address | None) -> bool:
        return self._anyone or (address is not None and any(address in net for net in self._networks))


class NoProxies:
    """Trusts no proxy: the client is whoever opened the connection."""

    def unveil(self, scope: Scope) -> None:
        pass


def _entry(value: bytes) -> Address | None:
    """An entry of `X-Forwarded-For`: an address, of IPv6 in brackets or bare, and maybe a port."""
    text = value.decode("latin-1").strip().strip('"')
    if len(text) > _LONGEST_ENTRY:
        return None
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    return _address(text)


def _address(text: str) -> Address | None:
    """The address, an IPv4 one also when it comes as IPv6 (RFC 4291, 2.5.5.2); None for what is none."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
