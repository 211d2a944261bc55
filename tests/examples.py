"""How many examples the property tests try."""

import os

EXAMPLES = int(os.environ.get("SLIPWAY_TEST_EXAMPLES", "0"))
"""Those of each property, in place of the few of `make test`; `make test-long` has many. 0: the few."""


def examples(few: int) -> int:
    """Return the number of examples of a property of which `make test` tries a few."""
    return EXAMPLES or few
