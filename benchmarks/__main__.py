"""`python -m benchmarks`: measures programs in scenarios, and writes a report and a plot."""

import argparse
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from benchmarks.backends import Backends, backends
from benchmarks.figures import LARGE, ROWS, SMALL, Figure, growth, overload, probes, start_and_memory
from benchmarks.load import Load, require_wrk
from benchmarks.machine import description
from benchmarks.plot import plot
from benchmarks.programs import FLOOR, PROGRAMS, SLIPWAY, Program
from benchmarks.report import Results, report, wrong_statements
from benchmarks.running import Running, running
from benchmarks.scenarios import SCENARIOS, Scenario

WARM_SECONDS = 1
PEER_EVERY = 2  # rounds between two measurements of a peer, whose targets are multiples: coarser figures do
_BEGAN = time.monotonic()
FIGURES = "figures"  # the scenario that measures the service alone, with the mix


def main() -> None:
    given = _arguments()
    require_wrk()
    # So that the programs are stopped, which have sessions of their own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # PostgreSQL runs as another user
        with backends(folder) as both:
            results = _measure(given, both, folder)
    text = report(results)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "report.md").write_text(text)
    times = {key: cpu for key in results.runs if (cpu := results.cpu(*key)) is not None}
    titles = {scenario.name: scenario.title for scenario in results.measured}
    (given.output / "plot.svg").write_text(
        plot(titles, times, [program.name for program in results.programs])
    )
    print(text)
    _say("done")
    if wrong := wrong_statements(results):
        raise SystemExit("\n".join(wrong))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [program.name for program in PROGRAMS]
    scenarios = [*(scenario.name for scenario in SCENARIOS), FIGURES]
    parser.add_argument("--scenarios", nargs="+", choices=scenarios, default=scenarios)
    parser.add_argument("--programs", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=int, default=2, help="of each measurement (default: 2)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="a folder")
    return parser.parse_args()


def _measure(given: argparse.Namespace, both: Backends, folder: Path) -> Results:
    reasons = {program: program.prepare() for program in PROGRAMS if program.name in given.programs}
    programs = [program for program, reason in reasons.items() if reason is None]
    left_out = {program.title: reason for program, reason in reasons.items() if reason is not None}
    results = Results(programs, f"{description()}, {both.version()}.", left_out)
    wants_figures = FIGURES in given.scenarios and SLIPWAY in programs
    with ExitStack() as stack:
        _say("starting the programs")
        started = {program: stack.enter_context(running(program, both, folder)) for program in programs}
        if wants_figures:
            _say(f"measuring accesses to {SMALL} rows")
            both.grow(SMALL)
            started[SLIPWAY].wait(f"{started[SLIPWAY].admin_url}/readyz")
            compare = growth(started[SLIPWAY], both)
        both.grow(ROWS)
        loads = {
            program: Load(service, both, number=number, items=folder / f"items-{number}")
            for number, (program, service) in enumerate(started.items())
        }
        for scenario in SCENARIOS:
            if scenario.name in given.scenarios:
                _interleave(scenario, loads, given, results)
        if wants_figures:
            results.figures += _figures(given.seconds, started[SLIPWAY], loads[SLIPWAY], both, folder)
            _say(f"measuring accesses to {LARGE} rows")
            both.grow(LARGE)
            results.figures += compare()
    return results


def _interleave(
    scenario: Scenario, loads: dict[Program, Load], given: argparse.Namespace, results: Results
) -> None:
    """Measure all programs in turn, round after round, so that whatever else happens meets all of them."""
    turns = {p: load for p, load in loads.items() if scenario.peers or p in (FLOOR, SLIPWAY)}
    _say(scenario.title)
    for program, load in turns.items():
        load.send(scenario.name, f"{program.name}-{scenario.name}-warm".upper(), WARM_SECONDS)
    for number in range(given.rounds):
        for program, load in turns.items():
            if program in (FLOOR, SLIPWAY) or number % PEER_EVERY == 0:
                run = f"{program.name}-{scenario.name}-{number}".upper()
                one = load.measure(scenario.name, run, given.seconds)
                results.runs.setdefault((scenario.name, program.name), []).append(one)


def _figures(seconds: int, service: Running, load: Load, both: Backends, folder: Path) -> list[Figure]:
    _say("the service alone")
    seconds *= 2
    alone = load.measure("mix", "ALONE", seconds)
    spread = alone.slow / alone.median
    return [
        Figure("99th percentile of the mix, of its median", f"{spread:.1f} times", "≤ 5 times", spread <= 5),
        *probes(service, load, alone, seconds),
        *overload(service, both, load, alone, seconds),
        *start_and_memory(service, both, load, folder, 2 * seconds),
    ]


def _say(what: str) -> None:
    """Say what takes so long, after the seconds since the start."""
    print(f"bench: {time.monotonic() - _BEGAN:4.0f} s: {what}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
