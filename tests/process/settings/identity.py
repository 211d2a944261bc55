"""A role whose password is a token in a file, as a sidecar of a cloud renews it."""

from pathlib import Path
from urllib.parse import urlsplit

from tests.process.settings.parts import ROLE_PASSWORD, add_role
from tests.process.settings.table import Given, Running, Setup, process, setting


@process("identity")
def identity(setup: Setup) -> Given:
    place = urlsplit(setup.database_url)
    return {
        "redis__enabled": "false",
        "database__host": place.hostname,
        "database__port": place.port,
        "database__name": place.path[1:],
        "database__user": add_role(setup),
        "database__password": "is-not-used",
    }


def _token(setup: Setup) -> Path:
    file = setup.home / "token"
    file.write_text(f"{ROLE_PASSWORD}\n")
    return file


@setting("database__password_file", _token, process="identity")
def service_logs_in_with_the_token(run: Running) -> None:
    assert run.service.api.get("/api/v1/shelves", headers=run.key()).status_code == 200
