"""Whether the process has started or is draining. The server writes it; the edge and the probes read it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Lifecycle:
    """`started` once the application is up; `draining` from the first SIGTERM on."""

    started: bool = False
    draining: bool = False
