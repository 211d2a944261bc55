"""Raises the limit on open files (`RLIMIT_NOFILE`) to what the connections need.

Container engines and shells often start a process with a soft limit of 1024, below the hard limit. Without file
descriptors, the process can reach neither clients nor the database.
"""

import resource

import structlog

log = structlog.get_logger(__name__)

SPARE = 256  # for the database, Redis, issuers, files, and clients to turn away


def make_room(connections: int) -> None:
    """Raise the soft limit for two ports with this many connections each, up to the hard limit."""
    needed = 2 * connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("open file limit is lower than the connection limit", files=allowed, needed=needed)
