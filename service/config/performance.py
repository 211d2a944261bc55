"""Page sizes, batch sizes and exports: what one request may cost."""

from typing import Annotated

from pydantic import Field

from service.config.group import Group


class PerformanceSettings(Group):
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    """Items of a page when the client names no `limit`."""
    page_size_max: Annotated[int, Field(ge=1, le=1000)] = 200
    """Largest `limit` that a client may name."""
    statement_cache: Annotated[int, Field(ge=0, le=10_000)] = 256
    """Prepared statements that each connection keeps."""
    bulk_operations: Annotated[int, Field(ge=1, le=1000)] = 1000
    """Most operations of one bulk request."""
    exports: Annotated[int, Field(ge=0, le=64)] = 2
    """Exports that each process runs at a time, each on a connection of its own beside the pools."""
    export_stall: Annotated[float, Field(gt=0, le=3600)] = 30.0
    """Seconds that the reader of an export may stall before it is cut off."""
    export_timeout: Annotated[float, Field(gt=0, le=86400)] = 600.0
    """Seconds that an export may take altogether, however fast it is read; then it is cut off."""
    freeze_gc: bool = True
    """Take what start-up made out of the garbage collector's sight, so that collections stay short."""
