"""How many requests a caller may make."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group


class RateLimitSettings(Group):
    enabled: bool = True
    """Limit the requests of each caller."""
    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    """Requests a caller may make in one window; also the largest burst."""
    writes: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    """Requests that change something, among them."""
    auth_failures: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    """Wrong credentials that a client address may send in one window before none are looked at."""
    window: Annotated[int, Field(ge=1, le=86400)] = 60
    """Seconds of a window."""
