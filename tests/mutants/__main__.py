"""Tries mutations of a room: `python -m tests.mutants security --number 20 --seed 1`."""

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tests.mutants.mutations import Mutation, chosen, room_mutations
from tests.mutants.report import Result, accepted, record, results
from tests.mutants.running import Runner, Verdict, runner


def say(*lines: str) -> None:
    print(*lines, sep="\n", flush=True)  # noqa: T201  # a program of the terminal


def tried(run: Runner, mutations: list[Mutation]) -> Iterator[Verdict]:
    """Try them all, with a line for each."""
    reasons = accepted()
    for number, mutation in enumerate(mutations, 1):
        verdict = run.verdict(mutation)
        place = f"{mutation.path}:{verdict.line}"
        say(f"{number}/{len(mutations)} {verdict.outcome} {place} {mutation.operator} {mutation.key}")
        if verdict.lives:
            say(f"    was    {verdict.before}", f"    became {verdict.after}")
            say(
                f"    {verdict.ran} of {verdict.covering} tests ran; {reasons.get(mutation.key, 'no reason')}"
            )
        elif verdict.by:
            say(f"    by {verdict.by}: {verdict.reason}")
        yield verdict


def judged(run: Runner, verdicts: list[Verdict]) -> Iterator[Verdict]:
    """Yield the verdicts, once the failed tests have run without a mutation: one that still fails kills nothing.

    A file that could not be collected has no test to run; all of them were collected without a mutation.
    """
    killers = sorted({verdict.by for verdict in verdicts if "::" in verdict.by})
    failing = set(killers) - run.holds(killers)
    for test in sorted(failing):
        say(f"fails without a mutation too: {test}")
    for verdict in verdicts:
        yield replace(verdict, outcome="doubtful") if verdict.by in failing else verdict


def survivors(last: Result, root: Path) -> tuple[list[Mutation], list[str]]:
    """Return the mutations that survived, and the keys of those whose code has changed since."""
    keys = [one.key for one in last.survivors]
    found = {one.key: one for one in room_mutations(last.room, root) if one.key in keys}
    return list(found.values()), [key for key in keys if key not in found]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("rooms", nargs="+", metavar="ROOM", help="a folder or module of service/")
    parser.add_argument("--number", type=int, default=20, help="how many mutations to try")
    parser.add_argument("--seed", type=int, default=1, help="another seed chooses other mutations")
    parser.add_argument("--budget", type=float, default=60, help="seconds of tests for each")
    parser.add_argument("--again", action="store_true", help="only the survivors of the last run")
    options = parser.parse_args()
    with runner(options.budget) as run:
        for room in options.rooms:
            if options.again:
                last = results()[room]
                mutations, gone = survivors(last, run.root)
                for key in gone:
                    say(f"the code of {key} is gone")
                seed, total = last.seed, last.tried - len(gone)
            else:
                seed, mutations = options.seed, chosen(room, options.number, options.seed, root=run.root)
                total = len(mutations)
            record(room, seed, total, list(judged(run, list(tried(run, mutations)))))


if __name__ == "__main__":
    main()
