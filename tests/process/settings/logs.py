"""Settings that switch parts off, and the addresses of the two ports."""

import pytest

from service.dev.free_ports import is_free
from tests.engine.wire import wire_to
from tests.ports import next_port
from tests.process.served import eventually
from tests.process.settings.table import Given, Running, Setup, process, setting

PUBLIC, ADMIN = "127.0.0.2", "127.0.0.3"
# Reported by the process itself: what the garbage collector tracks cannot be seen from outside.
REPORTS_FREEZE = (
    "import gc, sys\nfreeze = gc.freeze\ngc.freeze = lambda: (sys.stderr.write('frozen\\n'), freeze())\n"
)


@process("quiet")
def quiet(setup: Setup) -> Given:
    if not is_free(next_port(), PUBLIC):
        pytest.skip("this system has one loopback address only")
    setup.servers["wire"] = setup.background.enter(wire_to(setup.database_url))
    patched = setup.home / "patched"
    patched.mkdir()
    (patched / "sitecustomize.py").write_text(REPORTS_FREEZE)
    return {"database__url": setup.servers["wire"].url, "PYTHONPATH": patched}


@setting("server__host", PUBLIC, process="quiet")
def public_port_has_another_address(run: Running) -> None:
    assert run.service.api.get("/health").status_code == 200
    assert is_free(run.service.port, "127.0.0.1")


@setting("server__admin_host", ADMIN, process="quiet")
def admin_port_has_another_address(run: Running) -> None:
    assert run.service.admin.get("/livez").status_code == 200
    assert is_free(run.service.admin_port, "127.0.0.1")


@setting("logging__level", "warning", process="quiet")
def lower_levels_are_not_logged(run: Running) -> None:
    run.service.api.get("/health")
    assert not eventually(lambda: '"level":"info"' in run.service.output, seconds=1)


@setting("monitoring__metrics", "false", process="quiet")
def metrics_are_off(run: Running) -> None:
    assert run.service.probe("/metrics") == 404


@setting("feature__docs", "false", process="quiet")
def docs_page_is_off(run: Running) -> None:
    for path in ("/docs", "/openapi.json"):
        assert run.service.api.get(path).status_code == 404


@setting("feature__flags", '{"greeting": "from the settings"}', process="quiet")
def flag_has_the_value_of_the_setting(run: Running) -> None:
    items = run.service.api.get("/api/v1/features", headers=run.key("features:read")).json()["items"]
    assert {item["name"]: item["value"] for item in items}["greeting"] == "from the settings"


@setting("redis__enabled", "false", process="quiet")
def redis_is_not_used(run: Running) -> None:
    assert set(run.service.admin.get("/readyz").json()["checks"]) == {"database"}


@setting("rate_limit__enabled", "false", process="quiet")
def rate_limits_are_off(run: Running) -> None:
    response = run.service.api.get("/api/v1/shelves", headers=run.key())
    assert response.status_code == 200
    assert "ratelimit-policy" not in response.headers


@setting("database__pgbouncer", "true", process="quiet")
def every_statement_is_a_transaction(run: Running) -> None:
    """And none is prepared for others, which may run on another connection of the pooler."""
    wire = run.setup.servers["wire"]
    before = wire.named
    with wire.counted() as statements:
        assert run.service.api.get("/api/v1/shelves", headers=run.key()).status_code == 200
    assert any(statement.startswith("BEGIN") for statement in statements)
    assert wire.named == before


@setting("database__row_security", "prepare", process="quiet")
def database_knows_which_rows_a_caller_sees(run: Running) -> None:
    with run.setup.servers["wire"].counted() as statements:
        assert run.service.api.get("/api/v1/shelves", headers=run.key()).status_code == 200
    assert any("slipway.rows" in statement for statement in statements)


@setting("performance__freeze_gc", "false", process="quiet")
def no_object_is_frozen(run: Running) -> None:
    assert "frozen" not in run.service.output
