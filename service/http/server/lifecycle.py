"""Where the process is in its life. The edge and the probes read it, the server writes it."""

from dataclasses import dataclass


@dataclass(slots=True)
class Lifecycle:
    """`started` once the application is up; `draining` from the first SIGTERM on."""

    started: bool = False
    draining: bool = False
