"""The notes that Helm prints after an install match the values."""

import pytest

from tests.chart.rendering import notes, profile

NODE_PORT = "http://NODE:{}/docs (NODE: the address of a node; the port: what the command prints)"

ADDRESS = "{.status.loadBalancer.ingress[0].ip}{.status.loadBalancer.ingress[0].hostname}"


@pytest.mark.parametrize(
    ("settings", "command", "url"),
    [
        ("port=81", "port-forward service/slipway 8000:81", "http://127.0.0.1:8000/docs"),
        (
            "type=LoadBalancer,service.port=81",
            f"get service slipway -o jsonpath='{ADDRESS}'",
            "http://ADDRESS:81/docs (ADDRESS: what the command prints once the cluster has assigned one)",
        ),
        (
            "type=NodePort",
            "get service slipway -o jsonpath='{.spec.ports[0].nodePort}'",
            NODE_PORT.format("PORT"),
        ),
        (
            "type=NodePort,service.nodePort=30080",
            "get service slipway -o jsonpath='{.spec.ports[0].nodePort}'",
            NODE_PORT.format(30080),
        ),
    ],
)
def test_notes_show_the_url_by_service_type(settings: str, command: str, url: str) -> None:
    lines = [line.strip() for line in notes("--set", f"service.{settings}").splitlines()]
    at = lines.index("URL")
    assert lines[at + 1 : at + 3] == [f"kubectl -n shop {command}", url]


def test_notes_name_the_secret_of_the_admin_key() -> None:
    text = notes("--set", "security.adminKey.existingSecret=mine")
    assert (
        "kubectl -n shop get secret mine -o go-template='{{index .data \"admin-key\" | base64decode}}'"
        in text
    )
    assert "keys create" not in text


def _stays(text: str) -> list[str]:
    lines = [line.strip() for line in text.splitlines()]
    return [line for line in lines[lines.index("What stays after `helm uninstall slipway`:") + 1 :] if line]


def test_notes_list_the_objects_that_an_uninstall_leaves() -> None:
    hooked = notes(*profile("04-ha-values.yaml"))
    jobs, command = _stays(hooked)
    assert jobs == "the migration hooks' Jobs, for 604800 s after they finish, and their NetworkPolicy:"
    labels = "app.kubernetes.io/instance=slipway,app.kubernetes.io/component=migration"
    assert command == f"kubectl -n shop delete job,networkpolicy -l {labels}"
    alone, _ = _stays(notes(*profile("04-ha-values.yaml"), "--set", "networkPolicy.enabled=false"))
    assert alone == "the migration hooks' Jobs, for 604800 s after they finish:"
    assert _stays(notes(*profile("04-ha-values.yaml"), "--set", "migration.hook=false")) == [
        "nothing of this release"
    ]
