"""What is allowed, and what was decided."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

LEASES_PER_WINDOW = 200
SINGLE_LEASES = 4


@dataclass(frozen=True, slots=True)
class Policy:
    """`requests` in `window` seconds, in a burst if the caller likes."""

    name: str
    requests: int
    window: int
    step: float = field(init=False)
    """Seconds until the bucket gains one token."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "step", self.window / self.requests)

    def cost(self, sharers: int) -> float:
        """Seconds that one token for each of `sharers` processes takes; each process gets at least one a window."""
        return min(self.step * sharers, float(self.window))

    @property
    def lease(self) -> int:
        """Tokens that a process takes from the shared bucket at a time."""
        return max(1, self.requests // LEASES_PER_WINDOW)

    @property
    def leases_at_once(self) -> int:
        """Leases under way: requests wait for the tokens of one, but a lease of a single token has none for others."""
        return SINGLE_LEASES if self.lease == 1 else 1


class Decision(NamedTuple):
    """`remaining` requests are left now; after `retry_after` seconds there is at least one."""

    allowed: bool
    remaining: int
    retry_after: float


decided: Callable[[tuple[bool, int, float]], Decision] = partial(tuple.__new__, Decision)
"""Return the decision with these values. The constructor of a named tuple is a call more."""
