"""Page sizes, batch sizes and exports: what one request may cost."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group


class PerformanceSettings(Group):
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    """Items on a page if the client sends no `limit`."""
    page_size_max: Annotated[int, Field(ge=1, le=1000)] = 200
    """Largest `limit` that a client may send."""
    statement_cache: Annotated[int, Field(ge=0, le=10_000)] = 256
    """Prepared statements cached per connection."""
    bulk_operations: Annotated[int, Field(ge=1, le=1000)] = 1000
    """Most operations of one bulk request."""
    exports: Annotated[int, Field(ge=0, le=64)] = 2
    """Exports that each process runs at a time, each on a separate connection in addition to the pools."""
    export_stall: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds that the client of an export may stall before the connection is closed."""
    export_timeout: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Seconds that an export may take in total; then the connection is closed."""
    freeze_gc: bool = True
    """Exclude objects made at start-up from garbage collection, so that collections stay short."""
