"""Page sizes, batch sizes, exports and caches: limits on the cost of a request."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group


class PerformanceSettings(Group):
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    """Items per page if the client sends no `limit`."""
    page_size_max: Annotated[int, Field(ge=1, le=1000)] = 200
    """Largest `limit` that a client may send."""
    statement_cache: Annotated[int, Field(ge=0, le=10_000)] = 256
    """Prepared statements cached per connection; 0: none."""
    bulk_operations: Annotated[int, Field(ge=1, le=1000)] = 1000
    """Maximum number of operations in a bulk request."""
    exports: Annotated[int, Field(ge=0, le=64)] = 2
    """Exports that each process runs at a time; 0 disables them. Each uses a database connection in addition to the
    pools."""
    export_stall: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds after which an export is closed if its client stops reading."""
    export_timeout: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Seconds after which an export is closed, even if its client is still reading."""
    cache_memory: Annotated[int, Field(ge=0, le=4096)] = 32
    """MiB of memory in each process for cached items and values; 0 switches these caches off."""
    freeze_gc: bool = True
    """Exclude objects made at start-up from garbage collection, which keeps its pauses short."""
