"""The key that signs cursors is rotated while replicas run; no next page is refused."""

from pathlib import Path

import httpx2

from tests.process.conftest import Serve, new_key
from tests.process.served import Served, eventually

OLD, NEW = "old-" * 8, "new-" * 8
ITEMS = "/api/v1/shelves"


async def test_cursors_work_across_replicas_during_key_rotation(
    serve: Serve, database_url: str, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets" / "security"
    secrets.mkdir(parents=True)
    (secrets / "secret_key").write_text(OLD)
    key = await new_key(database_url, "shop:read", "shop:write")
    given = {"SLIPWAY_SECRETS_DIR": str(secrets.parent), "security__secret_key": ""}
    old = serve(**given).ready()
    headers = {"X-API-Key": key}
    for number in range(2):
        old.api.post(ITEMS, json={"slug": f"rotated-{number}", "name": "R"}, headers=headers)

    def page(service: Served, cursor: str | None = None) -> httpx2.Response:
        params = {"limit": "1", **({"cursor": cursor} if cursor else {})}
        return service.api.get(ITEMS, params=params, headers=headers)

    of_old = page(old).json()["next_cursor"]
    (secrets / "previous_secret_key").write_text(OLD)
    (secrets / "secret_key").write_text(NEW)
    new = serve(**given).ready()
    of_new = page(new).json()["next_cursor"]
    assert of_new != of_old
    assert page(new, of_old).status_code == 200, "a new replica takes the previous key's"
    assert eventually(lambda: page(old, of_new).status_code == 200), "a running one reads the new key"
    assert page(old, of_old).status_code == 200
    assert page(old).json()["next_cursor"] == of_new
    (secrets / "secret_key").write_text("short")
    assert eventually(lambda: page(old).is_success and "SLIPWAY_SECURITY__SECRET_KEY" in old.output)
    assert page(old).json()["next_cursor"] == of_new, "a key too short for production signs nothing"
    (secrets / "secret_key").write_text(NEW)
    (secrets / "previous_secret_key").unlink()
    assert page(serve(**given).ready(), of_old).status_code == 400
