"""What the gate reads from a request: the credential, and the address that calls."""

from ipaddress import IPv6Address, IPv6Network, ip_address

from fastapi import Request

from service.http.middleware.state import Fields


def credential_of(fields: Fields) -> str | None:
    """Return the bearer token (RFC 6750, 2.1) or the `X-API-Key` of a request; None without either."""
    if b"authorization" in fields:
        scheme, _, value = fields[b"authorization"][0].decode("latin-1").partition(" ")
        if scheme.lower() == "bearer" and value:
            return value.strip()
    return fields[b"x-api-key"][0].decode("latin-1") if b"x-api-key" in fields else None


def address_of(request: Request) -> str:
    """Return the client as a caller: its IPv4 address, or the /64 of its IPv6 address, which is one customer's."""
    host = request.client.host if request.client else "unknown"
    try:
        address = ip_address(host)
    except ValueError:
        return f"address:{host}"
    if isinstance(address, IPv6Address):
        return f"address:{address.ipv4_mapped or IPv6Network((address, 64), strict=False)}"
    return f"address:{address}"
