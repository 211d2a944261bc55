"""The end of a run in a screen: reasons of skipped tests are counted, not listed for each place."""

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [
        report
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report, pytest.TestReport | pytest.CollectReport)
    ]
    reasons = reasons_of([report.longrepr for report in reports])
    if reasons:
        terminalreporter.section("skipped")
    for reason, count in reasons.most_common():
        terminalreporter.line(f"{count:5} x {reason}")


def reasons_of(skips: list[object]) -> Counter[str]:
    """Return how many tests were skipped for each reason: a skip is described by file, line and reason."""
    return Counter(str(skip[2]).removeprefix("Skipped: ") for skip in skips if isinstance(skip, tuple))
