"""Name and environment of the service."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from service.config.group import Group


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


class AppSettings(Group):
    name: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,39}$")] = "slipway"
    """Name of the service in OpenAPI, metrics, logs and PostgreSQL's `application_name`."""
    environment: Environment = Environment.PRODUCTION
    """`production` refuses unsafe settings; `development` and `test` allow them."""
    idempotency_hours: Annotated[float, Field(gt=0, le=24 * 30)] = 24.0
    """Hours that the response to a request with an `Idempotency-Key` is stored. Raise it for clients that retry
    later."""
