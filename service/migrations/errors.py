"""Why migrations fail or are refused. The messages are shown to the user."""


class MigrationFailedError(Exception):
    """A migration failed; the database is at the last revision that succeeded."""


class LockedError(MigrationFailedError):
    """A migration did not get a lock in time; it can be retried."""


class NotAtHeadError(Exception):
    """The database is not at the revision that this version was built with."""


class PooledError(Exception):
    """The connection leads through a pooler, which migrations cannot use."""


class UnknownRevisionError(Exception):
    """This version has no such revision."""


class BackwardsError(Exception):
    """The database is past the requested revision."""


class ScriptsError(Exception):
    """The migrations of this version contradict each other: two heads, or a duplicate revision id."""


class SeveralHeadsError(Exception):
    """A version table of the database has several revisions."""


class EncodingError(Exception):
    """The database does not store text as UTF-8."""


class RequiredColumnError(Exception):
    """Models have new columns that are required, for which existing rows have no value."""
