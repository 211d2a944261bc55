"""Owners: whose an item is, and who sees it."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from service.resources.columns.kind import Kind
from service.security.principals import ADMIN, ANONYMOUS, Principal

if TYPE_CHECKING:
    from service.resources.declaration.declaration import Declaration


@dataclass(frozen=True, slots=True)
class Owner:
    """Callers see and change only the items whose `field` is theirs: their principal, or their `claim`.

    The service sets the field when an item is created. `claim` names a claim of tokens and API keys; dots lead to
    members. Principals with `all_scope` see the items of all owners, by default those with the scope `admin`.
    """

    field: str
    claim: str | None = None
    all_scope: str = ADMIN

    @property
    def needed(self) -> str:
        """What a credential needs to own items, for messages."""
        return "a principal" if self.claim is None else f"the claim {self.claim}"

    def sees_all(self, principal: Principal) -> bool:
        """Whether the principal sees the items of all owners."""
        return principal.may(self.all_scope)

    def value_of(self, principal: Principal, kind: Kind, length: int | None) -> Any:
        """Return the principal's value of the field, as the driver takes it; None if it has none that fits.

        `length` is the longest text of the column.
        """
        if principal.id == ANONYMOUS:
            return None
        given: Any = principal.id if self.claim is None else principal.claim(self.claim)
        if isinstance(given, bool) or not isinstance(given, str | int):
            return None
        text = str(given)
        if not text.strip() or (length is not None and len(text) > length):
            return None
        try:
            return kind.wire(kind.parse(text))
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class OwnedThrough:
    """Callers see and change only the items whose `parent` is theirs: an order's lines belong to the order's owner.

    `field` is the foreign key to the parent, a resource with an owner of its own, or with one through its parent.
    """

    field: str
    parent: "Declaration"

    @property
    def root(self) -> Owner:
        """The owner that has a column."""
        owner = self.parent.owner
        assert owner is not None  # see `check_owner`
        return owner if isinstance(owner, Owner) else owner.root

    @property
    def all_scope(self) -> str:
        return self.root.all_scope

    @property
    def needed(self) -> str:
        return self.root.needed

    def sees_all(self, principal: Principal) -> bool:
        """Whether the principal sees the items of all owners."""
        return self.root.sees_all(principal)
