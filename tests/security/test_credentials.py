"""What a request presents: its credential (RFC 6750, 2.1), and the address that it is counted by."""

import pytest
from fastapi import Request

from service.http.middleware.state import fields_of
from service.security.credentials import address_of, credential_of
from service.security.principals import Principal

KEY = (b"x-api-key", b"from-the-key")


@pytest.mark.parametrize(
    ("authorization", "credential"),
    [
        (b"Bearer abc", "abc"),
        (b"bearer abc", "abc"),
        (b"BEARER   abc ", "abc"),
        (b"Bearer", "from-the-key"),
        (b"Bearer ", "from-the-key"),
        (b"Basic abc", "from-the-key"),
        (b"abc", "from-the-key"),
    ],
)
def test_bearer_token_comes_before_the_key(authorization: bytes, credential: str) -> None:
    field = (b"authorization", authorization)
    assert credential_of(fields_of([field, KEY])) == credential
    assert credential_of(fields_of([field])) == (None if credential == "from-the-key" else credential)


def test_request_without_a_credential_presents_none() -> None:
    assert credential_of(fields_of([])) is None
    assert credential_of(fields_of([KEY])) == "from-the-key"


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
        (None, "unknown"),
    ],
)
def test_caller_is_an_address_or_a_network_of_64_bits(host: str | None, address: str) -> None:
    request = Request({"type": "http", "client": None if host is None else (host, 1)})
    assert address_of(request) == f"address:{address}"


def test_principals_differ_by_their_claims_and_do_not_show_them() -> None:
    one, other = (Principal("key:a", frozenset(), {"tenant": tenant}) for tenant in ("acme", "bolt"))
    assert one != other
    assert "acme" not in repr(one)


def test_claim_of_a_name_with_dots_comes_before_its_path() -> None:
    claims = Principal("key:a", frozenset(), {"org.tier": 1, "org": {"tier": 2, "size": 3}})
    assert [claims.claim(name) for name in ("org.tier", "org.size", "org.none")] == [1, 3, None]
