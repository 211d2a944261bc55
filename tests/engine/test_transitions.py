"""The order of a transition: it sets its state, and then `run` may look at it or set another one."""

from types import SimpleNamespace
from typing import Any

from service.resources.declaration import Change, Transition
from tests.engine.tables import Gadget


async def test_target_is_set_before_the_code_of_a_transition_runs() -> None:
    seen: list[Any] = []

    async def run(change: Change, _: Gadget) -> None:
        seen.append(dict(change.values))
        change.values["rank"] = 3

    change: Any = SimpleNamespace(values={})
    gadget: Any = SimpleNamespace(rank=1)
    transition = Transition("pack", run, field="rank", source=(None, 1), target=2)
    await transition.apply(change, gadget, None)
    assert (seen, change.values) == ([{"rank": 2}], {"rank": 3})
