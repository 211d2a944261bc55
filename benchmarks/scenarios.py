"""The scenarios: which requests wrk sends, and what is expected of the service."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Scenario:
    """Requests that requests.lua makes under this name.

    `share` is the least share of the floor's speed that the service is to reach. `statements` is how many statements
    of the service one request takes. Without `peers`, only the floor and the service are measured.
    """

    name: str
    title: str
    share: float
    statements: float
    peers: bool = True


SCENARIOS = (
    Scenario("cached", "read one item from memory", 0.55, 0, peers=False),
    Scenario("unchanged", "304 for an item in memory", 0.55, 0, peers=False),
    Scenario("read", "read one item", 0.6, 1),
    Scenario("list", "list of 50 of 100 000, filtered and sorted", 0.7, 1),
    Scenario("create", "create with an idempotency key and history", 0.6, 1),
    Scenario("update", "update with If-Match and history", 0.6, 1),
    Scenario("mix", "75 % read (Zipf), 15 % update, 5 % list, 5 % create", 0.6, 1),
)
FASTER_THAN = {"stock": 5.0, "django": 4.0, "fastify": 0.8, "go": 0.5}
"""How many times as fast as each peer the service is to be."""
