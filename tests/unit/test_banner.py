"""What `slipway dev` prints when it has started: addresses to open, and commands to paste."""

from pathlib import Path
from typing import Any

import pytest

from service.config import Settings
from service.dev.banner import banner
from service.dev.database_setup import QuickStart
from service.dev.instance import database_address
from service.resources.domain import Example

URL = "postgresql://ann:secret@db.example:5433/shop?sslmode=disable"


def settings(database: dict[str, Any], **server: Any) -> Settings:
    return Settings.model_validate({"app": {"environment": "test"}, "database": database, "server": server})


def printed(*examples: Example, **server: Any) -> list[str]:
    quick_start = QuickStart("slip_key", examples)
    return banner(settings({"url": URL}, **server), quick_start, Path("/data")).splitlines()


def test_without_examples_nothing_is_to_be_tried() -> None:
    assert printed(host="127.0.0.1", port=8000, admin_host="127.0.0.1", admin_port=9000) == [
        "",
        "  API       http://127.0.0.1:8000/api/v1",
        "  Docs      http://127.0.0.1:8000/docs",
        "  Admin     http://127.0.0.1:9000/readyz and http://127.0.0.1:9000/metrics",
        "  Database  postgresql://ann@db.example:5433/shop",
        "  API key   slip_key",
        "",
        "  Ctrl-C stops everything. The data stays in /data.",
    ]


def test_examples_are_commands_for_a_shell() -> None:
    examples = Example("shelves?limit=2"), Example("shelves", '{"slug":"a"}')
    assert printed(*examples, port=8000)[7:-1] == [
        "  Try it:",
        "",
        "  curl -H 'X-API-Key: slip_key' \\",
        "    'http://127.0.0.1:8000/api/v1/shelves?limit=2'",
        "",
        "  curl -H 'X-API-Key: slip_key' \\",
        "    -H 'Content-Type: application/json' http://127.0.0.1:8000/api/v1/shelves \\",
        '    -d \'{"slug":"a"}\'',
        "",
    ]


@pytest.mark.parametrize(
    ("host", "shown"),
    [("0.0.0.0", "127.0.0.1"), ("::", "[::1]"), ("::1", "[::1]"), ("192.0.2.1", "192.0.2.1")],
)
def test_address_can_be_opened_on_this_machine(host: str, shown: str) -> None:
    lines = printed(host=host, port=8000, admin_host=host, admin_port=9000)
    assert lines[1] == f"  API       http://{shown}:8000/api/v1"
    assert lines[3] == f"  Admin     http://{shown}:9000/readyz and http://{shown}:9000/metrics"


@pytest.mark.parametrize(
    ("database", "shown"),
    [
        ({"url": URL}, "postgresql://ann@db.example:5433/shop"),
        ({"url": "postgresql://db.example/shop"}, "postgresql://db.example/shop"),
        (
            {"host": "db.example", "port": 5433, "user": "ann", "password": "secret", "name": "shop"},
            "postgresql://ann@db.example:5433/shop",
        ),
    ],
)
def test_address_of_the_database_is_without_its_password(database: dict[str, Any], shown: str) -> None:
    assert database_address(settings(database)) == shown
