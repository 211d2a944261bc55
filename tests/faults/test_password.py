"""A password that is rotated while the service runs."""

import asyncio
import time
from pathlib import Path
from urllib.parse import urlsplit

from tests.faults.measurements import Measurements
from tests.faults.system import KINDS, UNHURRIED, Kind, System, refused_in

RATE = 20
HEALED_SECONDS = 2.0
_END = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated' AND pid <> pg_backend_pid()
"""


@KINDS
async def test_rotated_password_needs_no_restart(
    system: System, measure: Measurements, tmp_path: Path, kind: Kind
) -> None:
    file = tmp_path / "secrets" / "database" / "password"
    file.parent.mkdir(parents=True)
    file.write_text("before")
    await system.execute("CREATE ROLE rotated SUPERUSER LOGIN PASSWORD 'before'")
    system.at_end(lambda: system.execute("REASSIGN OWNED BY rotated TO slipway", "DROP ROLE rotated"))
    await system.serve(1, {**_settings(system, file.parents[1]), **UNHURRIED, **kind})
    async with system.load(rate=RATE).running():
        await asyncio.sleep(0.5)
        began = time.monotonic()
        await system.execute("ALTER ROLE rotated PASSWORD 'after'", _END)
        file.write_text("after")
        changed = time.monotonic()
        await asyncio.sleep(HEALED_SECONDS + 1)
    system.only(
        lambda event: refused_in(event, began, changed + HEALED_SECONDS, within=1),
        "the password was another one",
    )
    failed = [event.end - changed for event in system.history.failures()]
    measure(
        f"password-rotated-{'workers-' if kind else ''}healed", max([0.0, *failed]), HEALED_SECONDS, unit="s"
    )
    await system.judge()


def _settings(system: System, secrets: Path) -> dict[str, object]:
    parts = urlsplit(system.database_url)
    return {
        "SLIPWAY_SECRETS_DIR": secrets,
        "database__url": None,
        "database__port": parts.port,
        "database__name": parts.path[1:],
        "database__user": "rotated",
    }
