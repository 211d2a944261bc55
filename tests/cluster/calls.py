"""What tests and load call on an installed service: a resource of the team's domains, or API keys without any.

`python -m tests.cluster.calls URL` prints the calls as JSON, for load.py. Standard input has an API key in the first
line and the service's OpenAPI document after it.
"""

import asyncio
import itertools
import json
import sys
from dataclasses import asdict, dataclass

import httpx2

from service.domains import DOMAINS
from service.resources.declaration import RestResource
from service.resources.domain import resources_of
from tests.authorization.expected import BASE
from tests.authorization.samples import Json, Samples

NUMBER = 1_000_000_001  # load.py puts another number of as many digits in its place
RESOURCES = resources_of(DOMAINS)


@dataclass(frozen=True)
class Calls:
    """A read and a write that work again and again, and the table behind them."""

    table: str
    read: str
    method: str
    path: str
    body: str | None


def subject(document: Json) -> RestResource | None:
    """Return the resource of the document with the most references, if clients may list and create its items."""
    usable = [
        one for one in RESOURCES if {"get", "post"} <= document["paths"].get(f"{BASE}/{one.path}", {}).keys()
    ]
    return max(usable, key=lambda one: len(one.table.foreign_keys), default=None)


def calls(url: str, key: str, document: Json) -> Calls:
    """Return what to call at this URL. Creates the items that a new item refers to, or a key to revoke."""
    return asyncio.run(_calls(url, key, document))


async def _calls(url: str, key: str, document: Json) -> Calls:
    headers = {"authorization": f"Bearer {key}"}
    async with httpx2.AsyncClient(base_url=url, headers=headers, timeout=10) as client:
        if (resource := subject(document)) is None:
            return await _of_keys(client)
        first = await Samples(client, document, RESOURCES, {}).body(resource)
        references = {name: first[name] for name in first if resource.table.c[name].foreign_keys}
        numbers = itertools.repeat(NUMBER)
        body = await Samples(client, document, RESOURCES, {resource.path: references}, numbers).body(resource)
    path = f"{BASE}/{resource.path}"
    return Calls(resource.table.name, f"{path}?limit=1", "POST", path, json.dumps(body))


async def _of_keys(client: httpx2.AsyncClient) -> Calls:
    """Return calls that list the keys and revoke one, which may be repeated."""
    response = await client.post(f"{BASE}/keys", json={"name": "load", "scopes": ["load:none"]})
    assert response.status_code == 201, response.text
    return Calls("api_key", f"{BASE}/keys", "DELETE", f"{BASE}/keys/{response.json()['prefix']}", None)


def main(url: str) -> None:
    key = sys.stdin.readline().strip()
    found = calls(url, key, json.load(sys.stdin))
    sys.stdout.write(json.dumps(asdict(found)) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
