"""Who takes part in the run."""

import random
from dataclasses import dataclass, field

from service.dev.redis import RedisServer
from tests.process.served import Served
from tests.security.issuer import Issuer


@dataclass
class Cast:
    """Two pods that serve, one that never gets its schema, what they depend on, and the callers' keys."""

    pods: list[Served]
    unmigrated: Served
    redis: RedisServer
    database_url: str
    keys: list[str]
    admin_key: str
    greedy_key: str
    issuer: Issuer
    dice: random.Random = field(default_factory=lambda: random.Random(7))

    def pod(self) -> Served:
        return self.dice.choice(self.pods)
