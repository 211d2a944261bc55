"""A fork of the fork server warns as its own environment says, not as that of the fork server."""

import sys
import warnings

import pytest

from tests.forkserver import replace_warnings


@pytest.mark.parametrize(
    ("options", "raised"),
    [
        ("error", {RuntimeWarning, ResourceWarning}),
        ("error,ignore::ResourceWarning", {RuntimeWarning}),
        ("", set()),
    ],
)
def test_fork_has_the_warnings_of_its_environment(
    monkeypatch: pytest.MonkeyPatch, options: str, raised: set[type[Warning]]
) -> None:
    monkeypatch.setattr(sys, "warnoptions", ["error"])
    with warnings.catch_warnings(record=True):
        warnings.resetwarnings()
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", UserWarning)  # as a library does
        replace_warnings(options)
        assert {kind for kind in (UserWarning, RuntimeWarning, ResourceWarning) if _raises(kind)} == raised
    assert ",".join(sys.warnoptions) == options


def _raises(kind: type[Warning]) -> bool:
    try:
        warnings.warn("a warning", kind, stacklevel=1)
    except kind:
        return True
    return False
