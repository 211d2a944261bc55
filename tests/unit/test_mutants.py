"""The mutant runner changes what it says, and its page is the one of its last results."""

import gc
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import forked
from tests.mutants.__main__ import survivors
from tests.mutants.mutations import chosen, mutations
from tests.mutants.patching import Functions, NotInFunctionError
from tests.mutants.report import PAGE, Result, Survivor, accepted, page, results
from tests.mutants.workers import GivenServers
from tests.services import Client

SOURCE = '''
LIMIT = 5
ITEM = TypeVar("ITEM")
def first(items: "Items", *, most=LIMIT) -> "Item":
    """A docstring of 7 words, which no test reads."""
    if not items:
        raise ValueError("none")
    try:
        return min(items, key=len) if len(items) < 3 and most else items[0]
    except KeyError:
        log("ünlikely")
    return f"SELECT {items} WHERE a AND b IS NULL"
'''


def changes(source: str) -> dict[str, set[tuple[str, str]]]:
    """Return what each operator makes of the source: texts before and after."""
    found: dict[str, set[tuple[str, str]]] = {}
    for mutation in mutations("x.py", source):
        before = source[mutation.start : mutation.end]
        found.setdefault(mutation.operator, set()).add((before, mutation.replacement))
    return found


def test_every_operator_changes_what_it_is_for() -> None:
    found = changes(SOURCE)
    assert found["boundary"] == {("5", "6"), ("5", "(4)"), ("3", "4"), ("3", "(2)"), ("0", "1")}
    assert found["comparison"] == {("len(items) < 3", "(len(items) <= 3)")}
    assert ("len(items) < 3 and most", "(len(items) < 3 or most)") in found["boolean"]
    assert ("not items", "(items)") in found["boolean"]
    assert ("min(items, key=len)", "max(items, key=len)") in found["arithmetic"]
    assert ("min(items, key=len)", "min(items)") in found["arguments"]
    assert found["removed_handler"] == {("KeyError", "()")}
    assert found["removed_statement"] == {('log("ünlikely")', "pass")}
    assert {after for _, after in found["removed_guard"]} == {"pass"}
    assert found["text"] == {('"none"', "'nonex'")}, "names of types, which only type checkers read, stay"
    assert len(found["either"]) == 2
    assert {after for _, after in found["query"]} == {
        'f"SELECT {items} WHERE a OR b IS NULL"',
        'f"SELECT {items} WHERE a AND b IS NOT NULL"',
    }


def test_key_stays_when_lines_move_and_another_place_has_another_one() -> None:
    here, there = (
        [m.key for m in mutations("x.py", source)] for source in (SOURCE, "import os\n\n" + SOURCE)
    )
    assert here == there
    assert len(set(here)) == len(here)
    assert not {m.key for m in mutations("y.py", SOURCE)} & set(here)


def test_seed_chooses_the_same_mutations_of_every_operator_again(tmp_path: Path) -> None:
    (tmp_path / "service" / "room").mkdir(parents=True)
    (tmp_path / "service" / "room" / "x.py").write_text(SOURCE, "utf-8")
    some = chosen("room", 11, 1, root=tmp_path)
    assert some == chosen("room", 11, 1, root=tmp_path) != chosen("room", 11, 2, root=tmp_path)
    assert {mutation.operator for mutation in some} == changes(SOURCE).keys()


def test_survivors_are_tried_again_when_other_code_has_changed(tmp_path: Path) -> None:
    """Or else they would count as killed."""
    (tmp_path / "service" / "room").mkdir(parents=True)
    file = tmp_path / "service" / "room" / "x.py"
    file.write_text(SOURCE, "utf-8")
    lived = [
        Survivor(m.key, m.path, 1, m.operator, "", "", "survived")
        for m in chosen("room", 5, 1, root=tmp_path)
    ]
    last = Result("room", 1, 5, [*lived, replace(lived[0], key="0123456789")])
    file.write_text(SOURCE + "\ndef third():\n    return [1, 2, 3] < [4]\n", "utf-8")
    found, gone = survivors(last, tmp_path)
    assert {mutation.key for mutation in found} == {one.key for one in lived}
    assert gone == ["0123456789"]


def test_page_is_the_one_of_the_last_results() -> None:
    kept, reasons = results(), accepted()
    assert PAGE.read_text("utf-8") == page(kept, reasons)
    keys = {one.key for result in kept.values() for one in result.survivors}
    assert reasons.keys() <= keys, "a reason is of no survivor: remove it from tests/mutants/accepted.toml"


def test_function_that_is_imported_gets_the_code_after_a_change(tmp_path: Path) -> None:
    file = tmp_path / "x.py"
    before = "LIMIT = 5\ndef outer():\n    def inner():\n        return LIMIT\n    return inner\n"
    made: dict[str, Any] = {}
    exec(compile(before, str(file), "exec"), made)  # as an import does
    inner = made["outer"]()
    gc.freeze()  # as tests/conftest.py does after its imports
    functions = Functions(tmp_path)
    functions.patch(file, before, before.replace("return LIMIT", "return LIMIT + 1"))
    assert (inner(), made["outer"]()()) == (6, 6)
    for after in (before.replace("5", "6"), before.replace("outer()", "outer(a=1)"), before):
        with pytest.raises(NotInFunctionError):
            functions.patch(file, before, after)
    # A change that is not made at all would count as a mutant that survives.
    other = "def other():\n    return 1\n"
    with pytest.raises(NotInFunctionError):
        functions.patch(tmp_path / "y.py", other, other.replace("1", "2"))


def test_run_starts_its_own_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that was started for another change would have that one, or none."""
    monkeypatch.setattr(forked, "_start", Client("shared").fork_server)
    GivenServers("shared").pytest_sessionstart()
    assert forked._start is forked.start_here
