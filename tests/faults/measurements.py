"""Measurements of a run, each with its bound, saved for docs/reliability.md."""

import fcntl
import json
import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".local" / "fault-figures.json"


SHARED = "PYTEST_XDIST_WORKER" in os.environ
"""Whether other tests share the processors, as in `make test`."""


class Measurements:
    """The measurements of one test. They are saved if the test passes."""

    def __init__(self, test: str) -> None:
        self._test = test
        self._made: dict[str, dict[str, object]] = {}

    def __call__(self, name: str, value: float, bound: float, *, unit: str = "") -> None:
        """Record a measurement. Fails if the value exceeds its bound."""
        assert value <= bound, f"{name}: {value:g} {unit}, at most {bound:g} {unit}"
        self._made[name] = {"test": self._test, "value": round(value, 4), "bound": bound, "unit": unit}

    def keep(self, file: Path = FILE) -> None:
        """Merge into the file of measurements; safe with other processes."""
        if not self._made:
            return
        file.parent.mkdir(exist_ok=True)
        with file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = json.loads(file.read_text()) if file.exists() else {}
            draft = file.with_suffix(".new")
            draft.write_text(json.dumps({**known, **self._made}, indent=1, sort_keys=True))
            draft.replace(file)


FULL = bool(os.environ.get("SLIPWAY_FAULT_FULL"))
"""Whether the tests run at full size: with the documented rounds and minutes."""
