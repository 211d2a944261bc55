"""A token issuer on loopback that can misbehave, and helpers that make valid and invalid tokens."""

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

from tests.listener import listener

AUDIENCE = "slipway"
DRIP_SECONDS = 0.05

_RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
PRIVATE: dict[str, Any] = {
    "RS256": _RSA,
    "PS256": _RSA,
    "ES256": ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate(),
}


def public_jwk(algorithm: str, private: Any, **members: Any) -> dict[str, Any]:
    """Return the public key as a member of a JWK set."""
    made = get_default_algorithms()[algorithm].to_jwk(private.public_key(), as_dict=True)
    return {**made, "alg": algorithm, "use": "sig", "kid": f"kid-{algorithm}", **members}


def key_set() -> dict[str, Any]:
    return {"keys": [public_jwk(algorithm, private) for algorithm, private in PRIVATE.items()]}


class Issuer:
    """Serves a discovery document and a key set. `documents` and `fetches` are keyed by path; tests may change them."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.documents: dict[str, bytes] = {
            "/.well-known/openid-configuration": json.dumps(
                {"issuer": self.url, "jwks_uri": f"{self.url}/jwks"}
            ).encode(),
            "/jwks": json.dumps(key_set()).encode(),
        }
        self.fetches: dict[str, int] = {}
        self.status = "200 OK"
        self.headers = ""
        self.delay = 0.0
        self.dripping = False
        """Whether the rest of a response arrives byte by byte and never ends."""

    def token(self, algorithm: str = "RS256", *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Return a valid token with changes; a claim or header of None is left out."""
        now = int(time.time())
        payload = {
            "iss": self.url, "aud": AUDIENCE, "sub": "user-1", "iat": now, "exp": now + 300,
            "scope": "shop:read shop:write", **claims,
        }  # fmt: skip
        all_headers = {"kid": f"kid-{algorithm}", "typ": "at+jwt", **(headers or {})}
        return jwt.encode(
            {name: value for name, value in payload.items() if value is not None},
            PRIVATE[algorithm],
            algorithm=algorithm,
            headers={name: value for name, value in all_headers.items() if value is not None},
        )


async def _respond(issuer: Issuer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    request = (await reader.readuntil(b"\r\n\r\n")).decode()
    path = request.split()[1]
    issuer.fetches[path] = issuer.fetches.get(path, 0) + 1
    await asyncio.sleep(issuer.delay)
    if issuer.dripping:
        await _drip(writer)
        return
    body = issuer.documents.get(path, b"{}")
    head = f"HTTP/1.1 {issuer.status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{issuer.headers}\r\n"
    writer.write(head.encode() + body)
    await writer.drain()


async def _drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(DRIP_SECONDS)


@asynccontextmanager
async def local_issuer() -> AsyncIterator[Issuer]:
    """Run an issuer until the block ends."""
    holder: list[Issuer] = []
    async with listener(lambda r, w: _respond(holder[0], r, w)) as port:
        holder.append(Issuer(port))
        yield holder[0]


def segment(value: Any) -> str:
    """Return a part of a token, from JSON or raw bytes."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(algorithm: str, header: Any, payload: Any) -> str:
    """Return a correctly signed token with any header and payload."""
    text = f"{segment(header)}.{segment(payload)}"
    signature = get_default_algorithms()[algorithm].sign(text.encode(), PRIVATE[algorithm])
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"
