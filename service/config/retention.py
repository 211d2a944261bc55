"""How long the service keeps what it writes about the past."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group

Days = Annotated[float, Field(ge=0, le=36_500, allow_inf_nan=False)]


class RetentionSettings(Group):
    """`slipway purge` deletes what is older. Responses to requests with an Idempotency-Key have a setting of their own:
    `app.idempotency_hours`."""

    history_days: Days = 0
    """Days that row history goes back. `as_of` is exact within them: the version that was current at their beginning
    stays. 0: history is kept forever."""
    history_versions: Annotated[int, Field(ge=0, le=10_000)] = 0
    """Versions of a row that are kept, regardless of age; `as_of` knows nothing before the oldest of them. 0: any
    number."""
    key_days: Days = 0
    """Days that revoked and expired API keys stay in `slipway keys list`. 0: forever."""
