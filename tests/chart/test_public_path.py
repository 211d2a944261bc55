"""`publicPath`: the route matches it, the service gets it as a setting, and the notes mention it."""

import pytest

from tests.chart.rendering import environment, notes, one, own, pods, render

HOST = "hosts={a.example.com}"


@pytest.mark.parametrize(("value", "path"), [("", "/"), ("/shop", "/shop"), ("/eu/shop", "/eu/shop")])
def test_routes_and_settings_use_the_public_path(value: str, path: str) -> None:
    routes = f"ingress.enabled=true,ingress.{HOST},httpRoute.enabled=true,httpRoute.{HOST}"
    text = own(
        "--set", f"{routes},httpRoute.parentRefs[0].name=gateway", "--set-string", f"publicPath={value}"
    )
    (rule,) = one(text, "Ingress")["spec"]["rules"]
    assert [(p["path"], p["pathType"]) for p in rule["http"]["paths"]] == [(path, "Prefix")]
    (rule,) = one(text, "HTTPRoute")["spec"]["rules"]
    assert [match["path"] for match in rule["matches"]] == [{"type": "PathPrefix", "value": path}]
    assert "filters" not in rule
    (server,) = pods(text)["Deployment/slipway"]["containers"]
    assert environment(server)["SLIPWAY_SERVER__PUBLIC_PATH"] == value


def test_notes_show_the_public_path() -> None:
    told = notes("--set", f"ingress.enabled=true,ingress.{HOST},publicPath=/shop")
    assert "http://a.example.com/shop/docs" in told
    assert "http://127.0.0.1:8000/shop/docs" in notes("--set", "publicPath=/shop")


@pytest.mark.parametrize(
    "value", ["shop", "/shop/", "//shop", "/a b", "/a/../b", "/api", "/api/v1", "/docs", "/a?b"]
)
def test_invalid_public_path_is_refused(value: str) -> None:
    done = render("--set-string", f"publicPath={value}")
    assert done.returncode != 0
    assert "publicPath" in done.stderr


def test_public_path_under_config_is_refused() -> None:
    done = render("--set", "config.server.public_path=/shop")
    assert "config.server.public_path is set by the chart" in done.stderr
    assert "publicPath" in done.stderr
