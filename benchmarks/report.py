"""The report in Markdown, and the comparison that it makes."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from benchmarks.figures import Figure
from benchmarks.load import Measurement
from benchmarks.programs import FLOOR, SLIPWAY, Program
from benchmarks.scenarios import FASTER_THAN, SCENARIOS, Scenario

_HEAD = """\
# What a request costs

Written by `make bench`. Each program is one process on one processor; wrk with 32 connections, PostgreSQL and Redis
have the others. The programs take turns, and each number is the median of their rounds. CPU time is that of the
program, for one request. The floor is a bare ASGI function over asyncpg, without authentication, validation, limits,
logs or metrics.

![CPU time of a request](plot.svg)
"""
BACKGROUND = 100  # statements that the service's periodic work may add to a measurement


@dataclass(slots=True)
class Results:
    """All measurements of one run. `left_out` says of each program that could not be measured, why."""

    programs: Sequence[Program]
    environment: str
    left_out: Mapping[str, str]
    runs: dict[tuple[str, str], list[Measurement]] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)

    def cpu(self, scenario: str, program: str) -> float | None:
        """Return the median CPU time of a request in microseconds; None if it was not measured."""
        runs = self.runs.get((scenario, program))
        return statistics.median(run.cpu for run in runs) if runs else None

    def times_as_fast(self, scenario: str, other: str) -> float | None:
        """Return how many times as fast as the other program the service is."""
        ours, theirs = self.cpu(scenario, SLIPWAY.name), self.cpu(scenario, other)
        return None if ours is None or theirs is None else theirs / ours

    @property
    def measured(self) -> list[Scenario]:
        return [s for s in SCENARIOS if (s.name, SLIPWAY.name) in self.runs]


def wrong_statements(results: Results) -> list[str]:
    """Return a line for each scenario in which the service ran more or fewer statements than it should."""
    return [
        f"{scenario.name}: {run.statements:.2f} statements instead of {scenario.statements}"
        for scenario in results.measured
        for run in results.runs[scenario.name, SLIPWAY.name]
        if run.statements is not None and abs(run.statements - scenario.statements) * run.sent > BACKGROUND
    ]


def report(results: Results) -> str:
    """Return the report."""
    parts = [_HEAD, results.environment + "\n"]
    parts += [f"Left out: {name}, since {reason}.\n" for name, reason in results.left_out.items()]
    parts += ["## Targets\n", _ratios(results)]
    if results.figures:
        rows = [(f.what, f.reached, f.target, _mark(f.met)) for f in results.figures]
        parts += ["## The service alone\n", _table(("", "reached", "target", "met"), rows)]
    for scenario in results.measured:
        parts += [f"## {scenario.title[0].upper()}{scenario.title[1:]}\n", _runs(results, scenario)]
    return "\n".join(parts)


def _ratios(results: Results) -> str:
    others = [FLOOR, *(p for p in results.programs if p.name in FASTER_THAN)]
    rows = []
    for scenario in results.measured:
        cells = []
        for other in others:
            ratio = results.times_as_fast(scenario.name, other.name)
            target = scenario.share if other is FLOOR else FASTER_THAN[other.name]
            cells.append("-" if ratio is None else _against(ratio, target))
        rows.append((scenario.title, *cells))
    return _table(("speed of the service, relative to", *(other.name for other in others)), rows)


def _against(ratio: float, target: float) -> str:
    return f"{ratio:.2f} (≥ {target:g}: {_mark(ratio >= target)})"


def _mark(met: bool) -> str:  # noqa: FBT001
    return "yes" if met else "**no**"


def _runs(results: Results, scenario: Scenario) -> str:
    rows = []
    for program in results.programs:
        runs = results.runs.get((scenario.name, program.name), [])
        if runs:
            rows.append((program.title, *_cells(runs)))
    return _table(
        ("", "CPU µs", "lowest to highest", "requests/s", "median ms", "99th percentile ms", "statements"),
        rows,
    )


def _cells(runs: Sequence[Measurement]) -> tuple[str, ...]:
    cpu = sorted(run.cpu for run in runs)
    counted = [run.statements for run in runs if run.statements is not None]
    return (
        f"{statistics.median(cpu):.0f}",
        f"{cpu[0]:.0f} to {cpu[-1]:.0f}",
        f"{statistics.median(run.rate for run in runs):.0f}",
        f"{statistics.median(run.median for run in runs):.1f}",
        f"{statistics.median(run.slow for run in runs):.1f}",
        f"{statistics.median(counted):.2f}" if counted else "not counted",
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
