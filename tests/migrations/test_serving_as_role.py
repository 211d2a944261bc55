"""The service and its commands work as a role that owns nothing."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from service.migrations.branches import DOMAINS, head
from service.migrations.revisions import Position
from service.migrations.runner import upgrade
from tests.faults.server_thread import in_server_thread
from tests.migrations.conftest import settings_for
from tests.migrations.roles import Roles, execute
from tests.process.conftest import Command, new_key
from tests.process.served import Served, slipway

Json = dict[str, Any]
SHELVES, ARTICLES = "/api/v1/shelves", "/api/v1/articles"
pytestmark = pytest.mark.usefixtures("shop_migrates")
MERGE = {"Content-Type": "application/merge-patch+json", "If-Match": "*"}
COMMANDS = (
    "keys create --name x --scope shop:read",
    "keys list",
    "seed",
    "import shelves lines",
    "purge",
    "migrate --check",
    "migrate --sql",
    "migrate",
)


@pytest.fixture
async def service(granted: Roles, redis_url: str, tmp_path: Path) -> AsyncIterator[Served]:
    made = await in_server_thread(
        Served, tmp_path / "service", database__url=granted.app_url, redis__url=redis_url
    )
    await in_server_thread(made.ready)
    yield made
    await in_server_thread(made.close)


async def test_api_works_as_the_app_role(service: Served, granted: Roles) -> None:
    key = await new_key(granted.app_url, "admin")
    await in_server_thread(_walk, service, {"Authorization": f"Bearer {key}"})


def _walk(service: Served, headers: dict[str, str]) -> None:
    """Use every kind of statement of the engine."""
    api = service.api
    api.headers.update(headers)

    def ask(status: int, method: str, path: str, **more: Any) -> Any:
        response = api.request(method, path, **more)
        assert response.status_code == status, f"{method} {path}: {response.text}"
        return (
            response.json()
            if response.content and "ndjson" not in response.headers["content-type"]
            else response
        )

    shelf = ask(201, "POST", SHELVES, json={"slug": "roles", "name": "Roles"})
    body = {"sku": "ROLE-1", "name": "Lamp", "price": "1.00", "shelf_id": shelf["id"]}
    once = {"Idempotency-Key": "role-1"}
    article = ask(201, "POST", ARTICLES, json=body, headers=once)
    assert ask(201, "POST", ARTICLES, json=body, headers=once) == article
    item = f"{ARTICLES}/{article['id']}"
    assert ask(200, "GET", item) == article
    assert ask(200, "PATCH", item, json={"stock": 3}, headers=MERGE)["version"] == 2
    ask(200, "PUT", item, json={**body, "name": "Light"}, headers={"If-Match": "*"})
    ask(409, "DELETE", f"{SHELVES}/{shelf['id']}", headers={"If-Match": "*"})
    ask(204, "DELETE", item, headers={"If-Match": "*"})
    ask(200, "POST", f"{item}/restore")
    actions = [entry["action"] for entry in ask(200, "GET", f"{item}/history")["items"]]
    assert actions == ["restore", "delete", "update", "update", "create"]
    assert ask(200, "GET", item, params={"as_of": article["updated_at"]}) == article
    for count in ("exact", "estimated"):
        assert ask(200, "GET", ARTICLES, params={"q": "light", "count": count})["items"]
    operations = [{"op": "patch", "id": article["id"], "if_match": "*", "changes": {"stock": 9}}]
    for mode in ("atomic", "partial"):
        done = ask(200, "POST", f"{ARTICLES}/bulk", json={"mode": mode, "operations": operations})
        assert done["results"][0]["status"] == 200
    assert json.loads(ask(200, "GET", f"{ARTICLES}/export").text.splitlines()[0])["sku"] == "ROLE-1"
    made = ask(201, "POST", "/api/v1/keys", json={"name": "made", "scopes": ["shop:read"]})
    assert made["key"]
    assert service.lines(level="error") == []


async def test_service_waits_for_its_grants(owned: Roles, redis_url: str, tmp_path: Path) -> None:
    service = await in_server_thread(
        Served, tmp_path / "early", database__url=owned.app_url, redis__url=redis_url
    )
    try:
        await in_server_thread(service.listening)
        response = service.admin.get("/readyz")
        assert response.status_code == 503, response.text
        assert (
            response.json()["checks"]["database"]["detail"] == "permission denied for table alembic_version"
        )
        await upgrade(settings_for(owned.owner_url, app_role=owned.app))
        await in_server_thread(service.ready)
    finally:
        await in_server_thread(service.close)


async def test_commands_work_as_the_app_role(
    granted: Roles, command: Command, tmp_path: Path, subtests: pytest.Subtests
) -> None:
    (tmp_path / "lines").write_text(json.dumps({"slug": "imported", "name": "Imported"}) + "\n")
    for arguments in COMMANDS:
        with subtests.test(command=arguments):
            done = await in_server_thread(command, *arguments.split(), database__url=granted.app_url)
            assert done.exit_code == 0, done.output


async def test_row_history_is_left_to_the_role_that_migrates(granted: Roles, command: Command) -> None:
    await execute(
        granted.owner_url,
        "INSERT INTO tests_shelf (id, slug, name, description, created_by, updated_by) "
        "VALUES (gen_random_uuid(), 'a', 'A', '', 'test', 'test')",
    )
    for arguments in ("purge", f"history erase shelves {uuid4()} --field name"):
        given = {"database__url": granted.app_url, "retention__history_versions": "1"}
        done = await in_server_thread(command, *arguments.split(), **given)
        assert (done.exit_code, "run this as the role that migrates" in done.stderr) == (1, True), done.output


async def test_app_role_cannot_migrate(granted: Roles, command: Command) -> None:
    await execute(granted.owner_url, "UPDATE alembic_version SET version_num = '0005'")
    done = await in_server_thread(command, "migrate", database__url=granted.app_url)
    at = Position("0005", head(DOMAINS))
    said = f"migration 0006 failed; the database is at revision {at}: must be owner of table row_history"
    assert (done.exit_code, done.stderr) == (6, f"slipway: {said}\n")
    erase = f"history erase shelves {uuid4()} --field name"
    for arguments in ("seed", "purge", "import shelves -", erase, "jobs list"):  # nor do others start at 0005
        refused = await in_server_thread(command, *arguments.split(), database__url=granted.app_url)
        assert refused.exit_code == 7, refused.output


async def test_backup_works_as_the_app_role(granted: Roles, tmp_path: Path) -> None:
    await execute(granted.owner_url, "CREATE SEQUENCE tests_numbers")
    await upgrade(settings_for(granted.owner_url, app_role=granted.app))
    given = {"database__url": granted.app_url, "backup__storage": tmp_path / "backups"}
    done = await in_server_thread(slipway, tmp_path, "backup", "create", **given)
    assert done.returncode == 0, done.stderr
    assert "cannot be recorded" not in done.stderr


async def test_history_is_purged_as_the_owner_and_not_as_the_app_role(
    granted: Roles, command: Command
) -> None:
    await execute(
        granted.owner_url,
        "INSERT INTO row_history (table_name, row_id, version, action, actor, at, row) SELECT 't', "
        "'00000000-0000-0000-0000-000000000001', n, 'update', 'x', '2020-01-01', '{}' FROM generate_series(1, 3) n",
    )
    rule = {"retention__history_days": 1}
    done = await in_server_thread(command, "purge", database__url=granted.app_url, **rule)
    assert done.exit_code == 1
    assert "may not change row history: run this as the role that migrates" in done.stderr
    done = await in_server_thread(command, "purge", database__url=granted.owner_url, **rule)
    assert (done.exit_code, done.stdout.splitlines()[-1]) == (0, "2 versions of row history deleted")
