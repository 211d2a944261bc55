"""`X-Forwarded-For` and `X-Forwarded-Proto` are trusted only as far as trusted proxies wrote them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.config.server import ServerSettings
from service.http.middleware.forwarded import TrustedProxies
from service.http.middleware.state import fields_of

INGRESS, BALANCER, CLIENT, LIE = "10.1.0.1", "192.0.2.10", "203.0.113.7", "198.51.100.66"


def seen(peer: str, *forwarded: str | bytes, hops: int = 1, **more: str) -> str:
    """Return the client address that the service uses. `more` are other headers."""
    scope = _unveiled(peer, forwarded, hops, more)
    return str(scope["client"][0])


def _unveiled(
    peer: str, forwarded: tuple[str | bytes, ...], hops: int, more: dict[str, str]
) -> dict[str, Any]:
    proxies = TrustedProxies(
        ServerSettings(trusted_proxies=f"10.0.0.0/8, {BALANCER},2001:db8:aa::/48", trusted_hops=hops)
    )
    values = [v if isinstance(v, bytes) else v.encode() for v in forwarded]
    headers = [(b"x-forwarded-for", value) for value in values]
    headers += [(name.replace("_", "-").encode(), value.encode()) for name, value in more.items()]
    scope: dict[str, Any] = {"client": (peer, 1234), "scheme": "http", "headers": headers}
    proxies.unveil(scope, fields_of(scope["headers"]))
    return scope


@pytest.mark.parametrize(
    ("peer", "forwarded", "hops", "client"),
    [
        (CLIENT, LIE, 1, CLIENT),  # not a trusted proxy
        (INGRESS, CLIENT, 1, CLIENT),
        (INGRESS, f"{LIE}, {CLIENT}", 1, CLIENT),
        (
            INGRESS,
            f"{LIE},{INGRESS},{CLIENT}",
            2,
            CLIENT,
        ),  # an entry before the client's address comes from the client
        (INGRESS, f"{LIE}, {CLIENT}, {BALANCER}", 2, CLIENT),
        (INGRESS, f"{LIE}, {CLIENT}, {BALANCER}", 5, CLIENT),
        (INGRESS, f"{CLIENT}, {BALANCER}", 1, BALANCER),  # one hop is one hop
        (INGRESS, "10.9.9.9", 1, "10.9.9.9"),
        (INGRESS, f"{LIE}, 10.9.9.9", 1, "10.9.9.9"),  # a client in a trusted network can claim any address
        (f"::ffff:{INGRESS}", CLIENT, 1, CLIENT),  # a socket for both families
        ("2001:db8:aa::1", "2001:db8:bb::2", 1, "2001:db8:bb::2"),
        (INGRESS, "", 1, INGRESS),
        (INGRESS, "unknown", 1, INGRESS),
        (INGRESS, f"{LIE}, unknown", 3, INGRESS),
        (INGRESS, f"{LIE}, _hidden, {BALANCER}", 3, BALANCER),
        (INGRESS, f"{CLIENT}:4711", 1, CLIENT),
        (INGRESS, "[2001:db8:bb::2]:4711", 1, "2001:db8:bb::2"),
        (INGRESS, "[2001:db8:bb::2]", 1, "2001:db8:bb::2"),
        (INGRESS, '"[2001:db8:bb::2]:4711"', 1, "2001:db8:bb::2"),
        (INGRESS, f"::ffff:{CLIENT}", 1, CLIENT),
        (INGRESS, f"{CLIENT}:{'9' * 64}", 1, INGRESS),  # no address with a port is that long
        (INGRESS, f" \t{CLIENT}\t ", 1, CLIENT),
        (INGRESS, "1" * 5000, 1, INGRESS),
        (INGRESS, "203.0.113.007", 1, INGRESS),  # octal to some parsers, so not a valid address
        ("testclient", LIE, 1, "testclient"),
    ],
)
def test_client_address_comes_from_a_trusted_proxy(peer: str, forwarded: str, hops: int, client: str) -> None:
    assert seen(peer, forwarded, hops=hops) == client


@pytest.mark.parametrize(
    ("peer", "prefix", "root_path"),
    [
        (INGRESS, "/shop", "/shop"),
        (INGRESS, "/shop/", "/shop"),
        (INGRESS, "/a/b-c_d.e~f", "/a/b-c_d.e~f"),
        (INGRESS, "/lie, /shop", "/shop"),
        (INGRESS, "/", ""),
        (INGRESS, "", ""),
        (CLIENT, "/shop", ""),  # not a trusted proxy
        *((INGRESS, bad, "") for bad in (
            "shop", "//evil.example", "/a//b", "/..", "/a/../b", "/.", "https://evil.example", "/a?b", "/a#b", "/a b",
            "/%2e", "/\u00e9", "/a\\b", "/api", "/api/v1", "/docs", "/" + "a" * 200, "/shop, //evil",
        )),
    ],
)  # fmt: skip
def test_public_path_comes_only_from_a_trusted_proxy(peer: str, prefix: str, root_path: str) -> None:
    assert _unveiled(peer, (), 1, {"x_forwarded_prefix": prefix}).get("root_path", "") == root_path


@pytest.mark.parametrize(
    "value", ["shop", "//shop", "/a/../b", "/a b", "/api", "/docs/", "/" + "a" * 200, "/\u00e9"]
)
def test_malformed_public_path_is_refused(value: str) -> None:
    with pytest.raises(ValidationError, match="public_path"):
        ServerSettings(public_path=value)


def test_repeated_headers_are_joined() -> None:
    assert seen(INGRESS, LIE, CLIENT) == CLIENT
    assert seen(INGRESS, LIE, f"{CLIENT}, {BALANCER}", hops=2) == CLIENT


def test_other_headers_are_ignored() -> None:
    assert seen(INGRESS, CLIENT, x_real_ip=LIE, forwarded=f"for={LIE}", true_client_ip=LIE) == CLIENT
    assert seen(INGRESS, x_real_ip=LIE) == INGRESS


@given(spoofed=st.lists(st.binary(max_size=40).filter(lambda b: b"\0" not in b)), hops=st.integers(1, 16))
def test_client_cannot_forge_its_address(spoofed: list[bytes], hops: int) -> None:
    behind_one = [*spoofed, CLIENT.encode()]
    assert seen(INGRESS, b",".join(behind_one), hops=hops) == CLIENT
    assert seen(INGRESS, *behind_one, hops=hops) == CLIENT
    assert seen(INGRESS, *behind_one, BALANCER, hops=max(hops, 2)) == CLIENT
    assert seen(CLIENT, *spoofed, hops=hops) == CLIENT


@pytest.mark.parametrize(
    ("peer", "value", "scheme"),
    [
        (INGRESS, "https", "https"), (INGRESS, "HTTPS", "https"), (INGRESS, "http, https", "https"),
        (INGRESS, "https, http", "http"), (INGRESS, "gopher", "http"), (CLIENT, "https", "http"),
    ],
)  # fmt: skip
def test_scheme_comes_from_a_trusted_proxy(peer: str, value: str, scheme: str) -> None:
    assert _unveiled(peer, (), 1, {"x_forwarded_proto": value})["scheme"] == scheme


def test_all_proxies_can_be_trusted() -> None:
    scope: dict[str, Any] = {"client": (LIE, 1), "headers": [(b"x-forwarded-for", CLIENT.encode())]}
    TrustedProxies(ServerSettings(trusted_proxies="*")).unveil(scope, fields_of(scope["headers"]))
    assert scope["client"][0] == CLIENT


@pytest.mark.parametrize("wrong", ["proxy", "10.0.0.0/99", "10.0.0.1;10.0.0.2", "10.0.0.256"])
def test_proxies_must_be_addresses_or_networks(wrong: str) -> None:
    with pytest.raises(ValidationError, match="trusted_proxies"):
        ServerSettings(trusted_proxies=wrong)
