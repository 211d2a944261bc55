"""Where a database is on the two branches of migrations, and what that means for this version."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, takewhile

from service.migrations.branches import BRANCHES, CHASSIS, DOMAINS, Branch, head, known, scripts
from service.migrations.errors import BackwardsError, UnknownRevisionError


@dataclass(frozen=True, slots=True)
class Position:
    """The revisions of a database, one for each branch; None: no revision of the branch has run.

    `recorded` is false for a database without the version table of the domains: an empty one, or one that was migrated
    before there were two branches.
    """

    chassis: str | None = None
    domains: str | None = None
    recorded: bool = field(default=True, compare=False)

    def __str__(self) -> str:
        """All revisions with their branches: `0011 (chassis), orders_0001 (domains)`; `none` for an empty database."""
        if self.chassis is None and self.domains is None:
            return "none"
        return self.of(*(branch for branch in BRANCHES if self.at(branch) or known(branch)))

    def of(self, *branches: Branch) -> str:
        """Return the revisions of these branches, as text."""
        return ", ".join(_text(branch, self.at(branch)) for branch in branches)

    def after(self, steps_: Mapping[Branch, Sequence[str]]) -> "Position":
        """Return the revisions after these steps."""
        chassis, domains = (steps_.get(branch, [self.at(branch)])[-1] for branch in BRANCHES)
        return Position(chassis, domains)

    def at(self, branch: Branch) -> str | None:
        """Return the revision of one branch."""
        return self.chassis if branch == CHASSIS else self.domains


def heads() -> Position:
    """Return the newest revisions that this version knows."""
    return Position(head(CHASSIS), head(DOMAINS))


def found(chassis: str | None, domains: str | None, *, recorded: bool) -> Position:
    """Return the position of a database from what its version tables say.

    Without a version table of the domains, the chassis' revision says what has run of the domains.
    """
    return Position(chassis, domains if recorded else _formerly(chassis), recorded)


def _formerly(chassis: str | None) -> str | None:
    """Return the newest revision of the domains that is part of a database migrated before there were two branches."""
    if chassis is None:
        return None
    line = known(CHASSIS)
    done = line[: line.index(chassis) + 1] if chassis in line else line
    contained = [*takewhile(lambda script: script.formerly in done, scripts()[DOMAINS])]
    return contained[-1].revision if contained else None


def target(revision: str) -> Position:
    """Return where `--to REVISION` leads: None for a branch that stays where it is.

    `head` means both heads. The chassis comes first: with a revision of the domains, it goes to its head; with a
    revision of the chassis, the domains stay. Raises `UnknownRevisionError`.
    """
    if revision == "head":
        return heads()
    if branch_of(revision) == CHASSIS:
        return Position(chassis=revision)
    return Position(head(CHASSIS), revision)


def branch_of(revision: str) -> Branch:
    """Return the branch that has the revision. Raises `UnknownRevisionError`."""
    for branch in BRANCHES:
        if revision in known(branch):
            return branch
    everything = ", ".join(chain.from_iterable(known(branch) for branch in BRANCHES))
    raise UnknownRevisionError(f"this version has no revision {revision}; it has {everything}")


def behind(position: Position) -> tuple[Branch, ...]:
    """Return the branches whose migrations are missing from a database; empty if this version can serve it.

    An unknown revision comes from a newer version. That version only expanded the schema, since it contracts only after
    the old version is gone.
    """
    return tuple(branch for branch in BRANCHES if not _compatible(branch, position.at(branch)))


def _compatible(branch: Branch, revision: str | None) -> bool:
    return revision == head(branch) or (revision is not None and revision not in known(branch))


def is_known(position: Position) -> bool:
    """Whether the database has been migrated, and not by a newer version."""
    return position.chassis in known(CHASSIS) and (
        position.domains is None or position.domains in known(DOMAINS)
    )


def steps(position: Position, to: Position) -> Mapping[Branch, tuple[str, ...]]:
    """Return the revisions to run, for each branch that has any, in order.

    Raises `BackwardsError` if the database is past the target, unless the target is the head.
    """
    missing = {branch: _missing(branch, position.at(branch), to.at(branch)) for branch in BRANCHES}
    return {branch: revisions for branch, revisions in missing.items() if revisions}


def _missing(branch: Branch, at: str | None, to: str | None) -> tuple[str, ...]:
    if to is None or at == to or (to == head(branch) and _compatible(branch, at)):
        return ()
    line = known(branch)
    wanted = line[: line.index(to) + 1]
    if at is not None and at not in wanted:
        raise BackwardsError(
            f"the database is at revision {_text(branch, at)}, past {to}: migrations only go forward; "
            "to undo a migration, write a new one"
        )
    return wanted[wanted.index(at) + 1 if at else 0 :]


def _text(branch: Branch, revision: str | None) -> str:
    strange = revision is not None and revision not in known(branch)
    return f"{revision or 'none'} ({branch.name}{', unknown to this version' if strange else ''})"
