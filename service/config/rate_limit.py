"""Rate limits of each caller."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group


class RateLimitSettings(Group):
    enabled: bool = True
    """Limit the number of requests of each caller."""
    requests: Annotated[int, Field(ge=1, le=1_000_000)] = 6000
    """Requests that a caller may make per window, and the largest burst."""
    writes: Annotated[int, Field(ge=1, le=1_000_000)] = 3000
    """Requests per window that may be writes (`POST`, `PUT`, `PATCH`, `DELETE`)."""
    auth_failures: Annotated[int, Field(ge=1, le=1_000_000)] = 60
    """Failed authentications that a client address may cause per window. Further requests with credentials are refused
    unchecked."""
    window: Annotated[int, Field(ge=1, le=86400)] = 60
    """Length of the window, in seconds."""
