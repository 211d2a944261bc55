"""docs/mutants.md: the last run of each room, and the reason for each survivor that stays."""

import json
import tomllib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutants.mutations import ROOT
from tests.mutants.running import Verdict

PAGE = ROOT / "docs" / "mutants.md"
HERE = Path(__file__).parent
ACCEPTED = HERE / "accepted.toml"
RESULTS = HERE / "results.json"
BY_HAND = HERE / "by_hand.md"

HEAD = """# Mutants

A mutant is one small change of the code. A test that fails kills it; one that survives shows what no test proves.
`make mutants ROOM=security` tries some in a room of `service/` and writes this page ([testing.md](testing.md#mutants)).

| room | seed | tried | killed | survived | with a reason | killed or with a reason |
|---|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Survivor:
    key: str
    path: str
    line: int
    operator: str
    before: str
    after: str
    outcome: str
    ran: int = 0
    covering: int = 0
    """How many tests ran, of those that cover it: the budget of time may have left out the one that kills it."""


@dataclass(frozen=True)
class Result:
    """The last run of a room."""

    room: str
    seed: int
    tried: int
    survivors: list[Survivor]


def accepted() -> dict[str, str]:
    """Return the reason of each survivor that stays, by its key."""
    return {str(key): str(reason) for key, reason in tomllib.loads(ACCEPTED.read_text("utf-8")).items()}


def results() -> dict[str, Result]:
    """Return the last run of each room, by its name."""
    read = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else []
    return {
        one["room"]: Result(**{**one, "survivors": [Survivor(**each) for each in one["survivors"]]})
        for one in read
    }


def record(room: str, seed: int, tried: int, verdicts: Sequence[Verdict]) -> None:
    """Keep the verdicts as the room's last run, or as what is left of its survivors, and write the page."""
    survivors = [
        Survivor(
            verdict.mutation.key,
            verdict.mutation.path,
            verdict.line,
            verdict.mutation.operator,
            verdict.before,
            verdict.after,
            verdict.outcome,
            verdict.ran,
            verdict.covering,
        )
        for verdict in verdicts
        if verdict.lives
    ]
    kept = results() | {room: Result(room, seed, tried, survivors)}
    text = json.dumps([asdict(kept[name]) for name in sorted(kept)], indent=1)
    RESULTS.write_text(text + "\n", "utf-8")
    PAGE.write_text(page(kept, accepted()), "utf-8")


def page(kept: dict[str, Result], reasons: dict[str, str]) -> str:
    """Return the page of these results."""
    rows, parts = [], []
    for room, result in sorted(kept.items()):
        lived = len(result.survivors)
        explained = sum(one.key in reasons for one in result.survivors)
        killed = result.tried - lived
        share = 100 * (killed + explained) / (result.tried or 1)
        rows.append(
            f"| {room} | {result.seed} | {result.tried} | {killed} | {lived} | {explained} | {share:.0f} % |\n"
        )
        if result.survivors:
            parts.append(f"\n## {room}\n\n| place | was | became | why it stays |\n|---|---|---|---|\n")
            parts.extend(_row(one, reasons.get(one.key)) for one in result.survivors)
    return HEAD + "".join(rows) + "".join(parts) + "\n" + BY_HAND.read_text("utf-8")


def _row(one: Survivor, reason: str | None) -> str:
    place = f"[{one.path.removeprefix('service/')}:{one.line}](../{one.path}) `{one.key}`"
    return f"| {place} | {_code(one.before)} | {_code(one.after)} | {reason or _open(one)} |\n"


def _open(one: Survivor) -> str:
    if one.ran < one.covering:
        return f"not settled: {one.ran} of the {one.covering} tests that cover it ran"
    return "no test yet"


def _code(text: str) -> str:
    return f"`{text.replace('`', '').replace('|', chr(92) + '|')}`"
