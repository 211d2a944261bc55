"""What a periodic job is."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

DEADLINE_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Job:
    """Runs `work` every `seconds`, first after `first` seconds. Row history shows `job:<name>`.

    Each process runs it, or with `once_per_cluster` one process of all. Then `deadline` is the most seconds that a run
    takes: it is cancelled afterwards, and if its process is lost, another one may run the job from then on.
    """

    name: str
    work: Callable[[], Awaitable[None]]
    seconds: float
    first: float = 0.0
    once_per_cluster: bool = False
    deadline: float = DEADLINE_SECONDS
