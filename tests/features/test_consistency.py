"""A request or a run of a job sees one state of each flag, however often flags change meanwhile."""

from service import actor
from service.actor import Actor, acting_as
from service.config import Settings
from service.database import Database
from service.features.flag_state import FlagState
from service.features.flag_store import FlagStore, with_flags
from service.jobs.periodic import Job
from tests.shop.flags import greeting


def state(value: str) -> dict[str, FlagState]:
    return {"greeting": FlagState("greeting", greeting.kind, value, "database")}


async def test_job_keeps_its_flags_during_a_run(settings: Settings) -> None:
    store = FlagStore(Database(settings), [greeting], {"greeting": "first"})
    seen = []

    async def work() -> None:
        seen.append(greeting())
        store.states = state("second")
        seen.append(greeting())
        acting = actor.current()
        assert acting is not None
        assert acting.actor == "job:greet"

    job = with_flags(Job("greet", work, 1), store)
    with acting_as(Actor("job:greet")):
        await job.work()
        await job.work()
    assert seen == ["first", "first", "second", "second"]
