"""What is read of a revision without running it."""

import pytest

from service.migrations import revisions
from tests.migrations.writing import Write

ANNOTATED = """
revision: str = "annotated"
down_revision: str | None = "first"
branch_labels: str | None = None
"""


def test_annotated_constants_are_read_too(write: Write) -> None:
    """Alembic's own template writes them so."""
    write("first", "SELECT 1")
    (revisions.LOCATION / "versions" / "annotated.py").write_text(ANNOTATED)
    assert revisions.revisions()[-2:] == ("first", "annotated")


@pytest.mark.parametrize("missing", ["revision", "down_revision"])
def test_revision_that_does_not_say_what_it_is_is_named(write: Write, missing: str) -> None:
    write("first", "SELECT 1")
    (revisions.LOCATION / "versions" / "unsaid.py").write_text(ANNOTATED.replace(f"\n{missing}:", "\nother:"))
    with pytest.raises(AssertionError, match=rf"migration unsaid\.py sets no {missing} to a constant"):
        revisions.revisions()
