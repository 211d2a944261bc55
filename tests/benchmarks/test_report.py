"""What `make bench` makes of its measurements."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

import pytest

from benchmarks.figures import Figure
from benchmarks.load import Measurement, results
from benchmarks.plot import plot
from benchmarks.programs import FLOOR, SLIPWAY, STOCK, Program
from benchmarks.report import Results, report, wrong_statements


def measured(*cpu: float, statements: float | None = 1) -> list[Measurement]:
    return [Measurement(one, 1000.0, 5.0, 9.0, statements, 1000) for one in cpu]


def made(
    floor: Sequence[float] = (100,), slipway: Sequence[float] = (150,), statements: float | None = 1
) -> Results:
    runs = {
        ("read", FLOOR.name): measured(*floor),
        ("read", SLIPWAY.name): measured(*slipway, statements=statements),
        ("read", STOCK.name): measured(1500),
    }
    return Results([FLOOR, SLIPWAY, STOCK], "A machine.", {"Go": "go is not installed"}, runs)


def test_speed_is_that_of_the_medians() -> None:
    found = made(floor=(90, 100, 900), slipway=(10, 200, 300))
    assert (found.times_as_fast("read", "floor"), found.times_as_fast("read", "stock")) == (0.5, 7.5)
    assert found.times_as_fast("list", "floor") is None


@pytest.mark.parametrize(("slipway", "shown"), [(166, "0.60 (≥ 0.6: yes)"), (168, "0.60 (≥ 0.6: **no**)")])
def test_report_holds_the_speed_against_the_target(slipway: float, shown: str) -> None:
    assert f"| read one item | {shown} | " in report(made(slipway=(slipway,)))


def test_report_shows_what_was_left_out_and_missed() -> None:
    found = made()
    found.figures.append(Figure("memory, idle", "120 MB", "≤ 95 MB", met=False))
    text = report(found)
    assert "Left out: Go, since go is not installed." in text
    assert "| memory, idle | 120 MB | ≤ 95 MB | **no** |" in text
    assert "| Slipway, everything on | 150 | 150 to 150 | 1000 | 5.0 | 9.0 | 1.00 |" in text


@pytest.mark.parametrize(
    ("statements", "wrong"), [(None, 0), (1.0, 0), (1.03, 0), (1.2, 1), (0.8, 1), (2.0, 1)]
)
def test_statements_of_the_service_are_held_to_their_number(statements: float | None, wrong: int) -> None:
    assert len(wrong_statements(made(statements=statements))) == wrong


def test_plot_has_a_bar_for_each_measurement() -> None:
    times = {("read", "floor"): 100.0, ("read", "slipway"): 200.0, ("list", "slipway"): 50.0}
    drawn = ET.fromstring(plot({"read": "a < b", "list": "list"}, times, ["floor", "slipway", "go"]))
    widths = [
        float(bar.get("width", "0")) for bar in drawn.iter("{http://www.w3.org/2000/svg}rect") if bar.get("y")
    ]
    assert widths == [270.0, 540.0, 540.0]


def test_results_are_found_in_the_output_of_wrk() -> None:
    assert results("Running 1s test\nRESULT sent=10 median=5\n") == {"sent": 10, "median": 5}
    assert results("unable to connect") is None


def test_program_without_its_tool_is_left_out() -> None:
    program = Program("x", "X", ("x",), install=(("x",),), tools=("no-such-tool",))
    assert program.prepare() == "no-such-tool is not installed"
