"""The participants of the run."""

import random
from dataclasses import dataclass, field

from service.dev.redis_server import RedisServer
from tests.process.served import Served
from tests.security.issuer import Issuer


@dataclass
class Cast:
    """Two serving pods, one whose schema is never migrated, their dependencies, and the callers' keys."""

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
