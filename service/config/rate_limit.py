"""How many requests a caller may make."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group


class RateLimitSettings(Group):
    enabled: bool = True
    """Limit the requests of every caller."""
    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    """Requests a caller may make in one window; also the largest burst."""
    writes: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    """How many of these requests may change something."""
    auth_failures: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    """Wrong credentials that a client address may send in one window; after that, none of its credentials are
    checked."""
    window: Annotated[int, Field(ge=1, le=86400)] = 60
    """Length of a window in seconds."""
