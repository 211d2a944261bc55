"""Keys that sign cursors and are too short for production are refused while the service runs, and named in the log."""

from pathlib import Path

import pytest
import structlog

from service.config import SECRETS_DIR, Settings
from service.security.signing_keys import SigningKeys

GOOD, OTHER, SHORTEST = "g" * 40, "o" * 40, "s" * 32
CURRENT, PREVIOUS = "SLIPWAY_SECURITY__SECRET_KEY", "SLIPWAY_SECURITY__PREVIOUS_SECRET_KEY"


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the secret files."""
    monkeypatch.setenv(SECRETS_DIR, str(tmp_path))
    (tmp_path / "security").mkdir()
    return tmp_path / "security"


def keys_in(environment: str) -> SigningKeys:
    return SigningKeys(Settings.model_validate({"app": {"environment": environment}}))


def refused(keys: SigningKeys) -> list[str]:
    """Return the variables of the keys that are refused now, according to the log."""
    with structlog.testing.capture_logs() as lines:
        keys.current()
    assert all("at least 32 characters" in line["reason"] for line in lines)
    return [line["setting"] for line in lines]


def test_short_key_is_refused_once_and_the_keys_from_before_stay(files: Path) -> None:
    current, previous = files / "secret_key", files / "previous_secret_key"
    current.write_text(GOOD)
    keys = keys_in("production")
    assert keys.current() == (GOOD,)
    previous.write_text("short")
    assert [refused(keys), refused(keys)] == [[PREVIOUS], []]
    assert keys.current() == (GOOD,)
    current.write_text("s" * 31)
    assert [refused(keys), refused(keys)] == [[CURRENT, PREVIOUS], []]
    current.write_text(SHORTEST)
    previous.write_text(OTHER)
    assert refused(keys) == []
    assert keys.current() == (SHORTEST, OTHER)
    previous.write_text("short")
    assert refused(keys) == [PREVIOUS], "a refusal after a valid content is a new one"
    assert keys.current() == (SHORTEST, OTHER)
    previous.write_text(OTHER)
    assert refused(keys) == []
    previous.write_text("short")
    assert refused(keys) == [PREVIOUS], "the same content as before, too"


def test_short_key_works_outside_of_production(files: Path) -> None:
    (files / "secret_key").write_text("x")
    keys = keys_in("development")
    assert refused(keys) == []
    assert keys.current() == ("x",)
