"""What a run has measured: each figure beside its bound, kept for docs/reliability.md."""

import fcntl
import json
import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILE = ROOT / ".local" / "fault-figures.json"


SHARED = "PYTEST_XDIST_WORKER" in os.environ
"""Whether other tests work on the same processors, as in `make test`."""
PATIENCE = 3


def patient(seconds: float, *, shared: bool = SHARED) -> float:
    """A bound, and where the processors are shared what waiting for one may make of it: three times as much.

    Only for tests that are marked `alone`: `make fault-test` runs these too, and there the bound is as it is promised.
    """
    return seconds * PATIENCE if shared else seconds


class Figures:
    """The figures of one test. They are kept when the test has passed."""

    def __init__(self, test: str, *, patience: bool = False) -> None:
        self._test = test
        self._patience = patience
        self._made: dict[str, dict[str, object]] = {}

    def __call__(self, name: str, value: float, bound: float, *, unit: str = "") -> None:
        """Note a figure. Fails when the value is over its bound; with a bound of 0, when there is any.

        With patience a bound in seconds is a patient one, and what is over the promise is not noted.
        """
        most = patient(bound, shared=self._patience) if unit == "s" else bound
        assert value <= most, f"{name}: {value:g} {unit}, at most {most:g} {unit} here"
        if value <= bound:
            self._made[name] = {"test": self._test, "value": round(value, 4), "bound": bound, "unit": unit}

    def keep(self, file: Path = FILE) -> None:
        """Merge into the file of figures; another process may do so at the same time."""
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
"""Whether the tests run in full size: as many rounds and minutes as the promises name."""
