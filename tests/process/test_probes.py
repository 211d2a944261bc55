"""The probes and versions on the two ports."""

import pytest

from service import __version__
from service.migrations.branches import CHASSIS, DOMAINS, head
from service.migrations.revisions import heads
from tests.process.conftest import Serve
from tests.process.served import Served


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/metrics", "/version"])
def test_admin_port_serves_probes(shared: Served, path: str) -> None:
    assert shared.admin.get(path).status_code == 200


def test_readiness_names_its_checks(shared: Served) -> None:
    response = shared.admin.get("/readyz").json()
    assert response["status"] == "ready"
    assert response["checks"]["database"] == {"ok": True, "critical": True, "detail": f"revision {heads()}"}
    assert response["checks"]["redis"] == {"ok": True, "critical": False}


def test_version_shows_package_and_schema(shared: Served) -> None:
    assert shared.admin.get("/version").json() == {
        "version": __version__,
        "migration_heads": {"chassis": head(CHASSIS), "domains": head(DOMAINS)},
    }


def test_public_health_reveals_only_ok(shared: Served) -> None:
    response = shared.api.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/version"])
def test_public_port_has_no_admin_routes(shared: Served, path: str) -> None:
    assert shared.api.get(path).status_code == 404


def test_docs_and_metrics_can_be_disabled(serve: Serve) -> None:
    service = serve(feature__docs="false", monitoring__metrics="false", redis__enabled="false").ready()
    assert [service.api.get(path).status_code for path in ("/docs", "/openapi.json")] == [404, 404]
    assert service.admin.get("/metrics").status_code == 404
    assert set(service.admin.get("/readyz").json()["checks"]) == {"database"}
