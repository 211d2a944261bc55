"""Why a migration did not happen. The messages are for people."""


class MigrationFailedError(Exception):
    """A migration did not go through; the database is at the last revision that did."""


class LockedError(MigrationFailedError):
    """A migration did not get a lock in time, and may be tried again."""


class NotAtHeadError(Exception):
    """The database is not at the revision that this version was built with."""


class PooledError(Exception):
    """The way to the database leads through a pooler, which migrations cannot work with."""


class UnknownRevisionError(Exception):
    """There is no such revision in this version."""


class BackwardsError(Exception):
    """The database is beyond the revision that was asked for."""


class ScriptsError(Exception):
    """The migrations of this version contradict each other: two heads, or a duplicate revision id."""


class SeveralHeadsError(Exception):
    """The database is marked with several revisions at once."""


class EncodingError(Exception):
    """The database does not store text as UTF-8."""
