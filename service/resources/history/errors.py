"""Why history stays as it is. Messages are for people."""


class HistoryPrivilegeError(Exception):
    """The role may only read row history."""

    def __init__(self) -> None:
        super().__init__(
            "the role of the service may not change row history: run this as the role that migrates "
            "(SLIPWAY_DATABASE__USER and __PASSWORD)"
        )


class ErasureError(Exception):
    """A value cannot be erased."""
