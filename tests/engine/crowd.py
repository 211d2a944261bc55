"""Clients that change the same articles concurrently at random, and remember the responses."""

import random
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from httpx2 import AsyncClient, Response

from tests.engine.api import ARTICLES, Json, unique

MOST_ITEMS = 60
FINE = {200, 201, 204, 404, 409, 412}


@dataclass
class Acknowledged:
    """The acknowledged changes: (id, request id, version); deletions have no version."""

    changes: list[tuple[str, str, int]] = field(default_factory=list)
    deletions: list[tuple[str, str]] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)

    def note(self, response: Response) -> bool:
        """Count a response, and return whether the change was made."""
        self.statuses[response.status_code] += 1
        if response.status_code not in FINE:
            self.unexpected.append(response.text)
        return response.status_code in {200, 201, 204}


class Member:
    """One client. `items` are the ids that all clients share, `tags` the newest ETags that this one knows."""

    def __init__(
        self,
        client: AsyncClient,
        shelf: str,
        items: list[str],
        acknowledged: Acknowledged,
        dice: random.Random,
    ) -> None:
        self._client = client
        self._shelf = shelf
        self._items = items
        self._acknowledged = acknowledged
        self._dice = dice
        self._tags: dict[str, str] = {}

    async def act(self) -> int:
        """Send a request, and return its number of operations."""
        acts = {
            self._create: 2,
            self._patch: 5,
            self._put: 2,
            self._delete: 2,
            self._restore: 2,
            self._bulk: 1,
        }
        if len(self._items) < MOST_ITEMS // 4:
            return await self._create()
        return await self._dice.choices(list(acts), list(acts.values()))[0]()

    def _body(self) -> Json:
        # A few SKUs for all, so that some creations conflict.
        sku = unique("CROWD") if self._dice.random() < 0.8 else f"CROWD-{self._dice.randrange(10)}"
        return {"sku": sku, "name": f"Item {uuid4()}", "price": "1.00", "shelf_id": self._shelf}

    def _one(self) -> str:
        return self._dice.choice(self._items)

    def _tag(self, item_id: str) -> str:
        return self._tags.get(item_id, "*") if self._dice.random() < 0.5 else "*"

    def _changed(self, item_id: str, request_id: str, tag: str) -> None:
        self._tags[item_id] = tag
        self._acknowledged.changes.append((item_id, request_id, int(tag.strip('"').partition("-")[0])))

    async def _send(self, method: str, item_id: str, suffix: str = "", **options: Any) -> int:
        response = await self._client.request(method, f"{ARTICLES}/{item_id}{suffix}", **options)
        if self._acknowledged.note(response):
            if response.status_code == 204:
                self._acknowledged.deletions.append((item_id, response.headers["x-request-id"]))
            else:
                self._changed(item_id, response.headers["x-request-id"], response.headers["etag"])
        elif response.status_code == 412:
            self._tags.pop(item_id, None)
        return 1

    async def _create(self) -> int:
        if len(self._items) >= MOST_ITEMS:
            return await self._patch()
        headers = {"Idempotency-Key": str(uuid4())} if self._dice.random() < 0.3 else {}
        response = await self._client.post(ARTICLES, json=self._body(), headers=headers)
        if self._acknowledged.note(response):
            item_id = response.json()["id"]
            self._changed(item_id, response.headers["x-request-id"], response.headers["etag"])
            self._items.append(item_id)
        return 1

    async def _patch(self) -> int:
        # Every change has an effect: the name is new.
        item_id, changes = (
            self._one(),
            {"name": f"Item {uuid4()}", "attributes": {self._dice.choice("abc"): 1}},
        )
        return await self._send("PATCH", item_id, json=changes, headers={"If-Match": self._tag(item_id)})

    async def _put(self) -> int:
        item_id = self._one()
        item = await self._client.get(f"{ARTICLES}/{item_id}")
        if item.status_code != 200:
            return 1
        body = {**self._body(), "sku": item.json()["sku"], "stock": self._dice.randrange(100)}
        return await self._send("PUT", item_id, json=body, headers={"If-Match": item.headers["etag"]})

    async def _delete(self) -> int:
        item_id = self._one()
        return await self._send("DELETE", item_id, headers={"If-Match": self._tag(item_id)})

    async def _restore(self) -> int:
        return await self._send("POST", self._one(), "/restore")

    async def _bulk(self) -> int:
        ids = self._dice.sample(self._items, self._dice.randrange(1, 7))
        operations: list[Json] = []
        for item_id in ids:
            target = {"id": item_id, "if_match": self._tag(item_id)}
            changes = {"name": f"Item {uuid4()}"}
            patch = {"op": "patch", **target, "changes": changes}
            operations.append({"op": "delete", **target} if self._dice.random() < 0.3 else patch)
        if len(self._items) < MOST_ITEMS:
            operations.append({"op": "create", "item": self._body()})
        mode = self._dice.choice(["atomic", "partial"])
        response = await self._client.post(f"{ARTICLES}/bulk", json={"mode": mode, "operations": operations})
        if self._acknowledged.note(response):
            self._acknowledge_bulk(response, operations)
        return len(operations)

    def _acknowledge_bulk(self, response: Response, operations: list[Json]) -> None:
        request_id = response.headers["x-request-id"]
        for operation, result in zip(operations, response.json()["results"], strict=True):
            if result["status"] == 204:
                self._acknowledged.deletions.append((operation["id"], request_id))
            elif result["status"] in {200, 201}:
                self._changed(result["id"], request_id, result["etag"])
                if operation["op"] == "create":
                    self._items.append(result["id"])
            elif result["status"] not in FINE:
                self._acknowledged.unexpected.append(str(result))
