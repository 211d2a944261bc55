"""Fetches an issuer's key set over HTTP, by its discovery document unless a URL is configured."""

from collections.abc import Mapping
from typing import Any

import httpx2

from service.config.issuer import IssuerSettings, is_loopback
from service.http.content import strict_json
from service.security.tokens.public_keys import PublicKey, public_key

LARGEST = 256 * 1024  # bytes of a key set or discovery document
MOST_KEYS = 100


class FetchError(Exception):
    """The keys could not be fetched; the message says why."""


class JwksSource:
    """Where the keys of one issuer are (OpenID Connect Discovery 1.0, 4)."""

    def __init__(self, issuer: IssuerSettings, client: httpx2.AsyncClient) -> None:
        self._issuer = issuer
        self._client = client

    async def fetch(self) -> tuple[PublicKey, ...]:
        """Return the usable keys, at least one. Raises `FetchError`, `InvalidJson` or an error of httpx2."""
        document = await self._document(await self._jwks_url())
        members = document.get("keys")
        if not isinstance(members, list) or len(members) > MOST_KEYS:
            raise FetchError("the response is not a key set")
        keys = tuple(key for member in members if (key := public_key(member)) is not None)
        if not keys:
            raise FetchError("the key set has no usable key")
        return keys

    async def _jwks_url(self) -> str:
        if self._issuer.jwks_url is not None:
            return self._issuer.jwks_url
        issuer = self._issuer.issuer
        document = await self._document(issuer.rstrip("/") + "/.well-known/openid-configuration")
        if document.get("issuer") != issuer:
            raise FetchError("the discovery document belongs to another issuer")
        url = document.get("jwks_uri")
        # Control of this URL is control of the keys: https, except for an issuer on loopback.
        safe = isinstance(url, str) and (
            url.startswith("https://") or (is_loopback(url) and is_loopback(issuer))
        )
        if not safe:
            raise FetchError("the discovery document has no https jwks_uri")
        return str(url)

    async def _document(self, url: str) -> Mapping[str, Any]:
        body = b""
        async with self._client.stream("GET", url, headers={"Accept": "application/json"}) as response:
            if response.status_code != 200:  # noqa: PLR2004  # redirects are not followed either
                raise FetchError(f"the response has status {response.status_code}")
            async for part in response.aiter_bytes():
                body += part
                if len(body) > LARGEST:
                    raise FetchError(f"the response is larger than {LARGEST} bytes")
        document = strict_json.parse(body)
        if not isinstance(document, dict):
            raise FetchError("the response is not a JSON object")
        return document
