"""What a drill asks the restored service for."""

from typing import Any

import httpx2
import orjson
import pytest

from service.backup.errors import BackupError
from service.cli.smoke_test import _read

LIST, ITEM = "/api/v1/shelves", "/api/v1/shelves/{id}"


async def _asked(missing: str = "") -> list[str]:
    """Read a list of one item, and return the paths that were requested."""
    paths: list[str] = []

    async def app(scope: Any, _: Any, send: Any) -> None:
        paths.append(scope["path"])
        status = 404 if scope["path"] == missing else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": orjson.dumps({"items": [{"id": 7}]})})

    transport = httpx2.ASGITransport(app=app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost") as client:
        await _read(client, LIST, ITEM)
    return paths


async def test_drill_reads_a_list_an_item_and_its_history() -> None:
    paths = await _asked()
    assert paths == [LIST, f"{LIST}/7", f"{LIST}/7/history"]
    for path in paths:
        with pytest.raises(BackupError, match=rf"responds to GET {path}\S* with 404: "):
            await _asked(missing=path)
