"""Room for connections among the process's file descriptors.

Container engines and shells start a process with 1024, which is fewer than it may have, and fewer than it may be asked
for: beyond them it could reach neither clients nor the database.
"""

import resource

import structlog

log = structlog.get_logger(__name__)

SPARE = 256  # for the database, Redis, issuers, files, and clients that are turned away


def make_room(connections: int) -> None:
    """Raise the limit on open files to what two ports with so many connections need, as far as the system lets us."""
    needed = 2 * connections + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("fewer open files than connections allowed", files=allowed, needed=needed)
