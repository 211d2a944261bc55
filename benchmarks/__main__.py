"""`python -m benchmarks`: measures programs in scenarios, and writes a report and a plot."""

import argparse
import tempfile
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

WARM_SECONDS = 2
FIGURES = "figures"  # the scenario that measures the service alone, with the mix


def main() -> None:
    given = _arguments()
    require_wrk()
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
    if wrong := wrong_statements(results):
        raise SystemExit("\n".join(wrong))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    names = [program.name for program in PROGRAMS]
    scenarios = [*(scenario.name for scenario in SCENARIOS), FIGURES]
    parser.add_argument("--scenarios", nargs="+", choices=scenarios, default=scenarios)
    parser.add_argument("--programs", nargs="+", choices=names, default=names)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=float, default=2, help="of each measurement (default: 2)")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent, help="a folder")
    return parser.parse_args()


def _measure(given: argparse.Namespace, both: Backends, folder: Path) -> Results:
    reasons = {program: program.prepare() for program in PROGRAMS if program.name in given.programs}
    programs = [program for program, reason in reasons.items() if reason is None]
    left_out = {program.title: reason for program, reason in reasons.items() if reason is not None}
    results = Results(programs, f"{description()}, {both.version()}.", left_out)
    wants_figures = FIGURES in given.scenarios and SLIPWAY in programs
    with ExitStack() as stack:
        started = {program: stack.enter_context(running(program, both, folder)) for program in programs}
        if wants_figures:
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
            results.figures += _figures(started[SLIPWAY], loads[SLIPWAY], both, folder)
            both.grow(LARGE)
            results.figures += compare()
    return results


def _interleave(
    scenario: Scenario, loads: dict[Program, Load], given: argparse.Namespace, results: Results
) -> None:
    """Measure all programs in turn, round after round, so that whatever else happens meets all of them."""
    turns = {p: load for p, load in loads.items() if scenario.peers or p in (FLOOR, SLIPWAY)}
    for number in range(-1, given.rounds):
        for program, load in turns.items():
            run = f"{program.name}-{scenario.name}-{number + 1}".upper()
            if number < 0:
                load.measure(scenario.name, run, min(WARM_SECONDS, given.seconds))
            else:
                one = load.measure(scenario.name, run, given.seconds)
                results.runs.setdefault((scenario.name, program.name), []).append(one)


def _figures(service: Running, load: Load, both: Backends, folder: Path) -> list[Figure]:
    seconds = 5.0
    alone = load.measure("mix", "ALONE", seconds)
    return [
        *probes(service, load, alone, seconds),
        *overload(service, both, load, alone, seconds),
        *start_and_memory(both, folder, 2 * seconds),
    ]


if __name__ == "__main__":
    main()
