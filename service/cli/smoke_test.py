"""The smoke test of a drill: the application, on a restored database, serves what clients request first."""

import asyncio
import logging
import re
from typing import Any

import httpx2
from fastapi import FastAPI

from service.backup.errors import BackupError
from service.config import Settings
from service.main import create_app
from service.security.api_keys.commands import create_key
from service.security.principals import ADMIN

READY_SECONDS = 30.0
POLL_SECONDS = 0.1


async def smoke_test(settings: Settings) -> None:
    """Start the application on the database of the settings and read from every resource: a list, its first item, and
    that item's history.

    It uses a key that it creates there, no Redis and no port. Raises `BackupError` at the first wrong response.
    """
    logging.getLogger("httpx2").setLevel(logging.WARNING)  # otherwise it logs every request
    app = create_app(_quiet(settings))
    async with app.router.lifespan_context(app):
        await _ready(app)
        async with app.state.database.session() as session:
            _, key = await create_key(session, name="drill", scopes=[ADMIN])
        transport = httpx2.ASGITransport(app=app)
        async with httpx2.AsyncClient(
            transport=transport, base_url="http://localhost", headers={"X-API-Key": key}
        ) as client:
            for path, item_path in _lists(app):
                await _read(client, path, item_path)


def _quiet(settings: Settings) -> Settings:
    """Return the settings without what the test does not need, or what would refuse its requests."""
    return settings.model_copy(
        update={
            "redis": settings.redis.model_copy(update={"enabled": False}),
            "logging": settings.logging.model_copy(update={"access": False}),
            "security": settings.security.model_copy(update={"trusted_hosts": ()}),
            "rate_limit": settings.rate_limit.model_copy(update={"enabled": False}),
        }
    )


async def _ready(app: FastAPI) -> None:
    for _ in range(round(READY_SECONDS / POLL_SECONDS)):
        if await app.state.health.ready():
            return
        await asyncio.sleep(POLL_SECONDS)
    checks = await app.state.health.checks()
    reasons = "; ".join(f"{name}: {check.detail}" for name, check in checks.items() if not check.ok)
    raise BackupError(f"the service does not become ready on the restored database: {reasons}")


def _lists(app: FastAPI) -> list[tuple[str, str]]:
    """Return the path of each resource's list, and the path of an item."""
    paths: dict[str, Any] = app.openapi()["paths"]
    found = []
    for path, operations in sorted(paths.items()):
        item = next((other for other in paths if re.fullmatch(re.escape(path) + r"/\{\w+\}", other)), None)
        parameters = {one.get("name") for one in operations.get("get", {}).get("parameters", ())}
        if item is not None and "limit" in parameters and "get" in paths[item]:
            found.append((path, item))
    return found


async def _read(client: httpx2.AsyncClient, path: str, item_path: str) -> None:
    page = await _get(client, f"{path}?limit=1")
    for item in page.get("items", ()):
        one = re.sub(r"\{\w+\}$", str(item["id"]), item_path)
        await _get(client, one)
        await _get(client, f"{one}/history")


async def _get(client: httpx2.AsyncClient, path: str) -> dict[str, Any]:
    response = await client.get(path)
    if response.status_code != httpx2.codes.OK:
        raise BackupError(
            f"the service on the restored database responds to GET {path} with {response.status_code}: "
            f"{response.text[:300]}"
        )
    found: dict[str, Any] = response.json()
    return found
