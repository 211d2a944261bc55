"""`make check` finds pages of docs/reference that do not match the code."""

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
GENERATOR = ROOT / "docs" / "reference" / "generate.py"
PAGES = ("features.md", "metrics.md", "problems.md", "settings.md")


def test_stale_page_is_named_and_rewritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    generator: dict[str, Any] = runpy.run_path(str(GENERATOR))
    main = generator["main"]
    monkeypatch.setitem(main.__globals__, "HERE", tmp_path)
    assert main(check=False) == 0
    (tmp_path / "metrics.md").write_text("old", "utf-8")
    (tmp_path / "settings.md").unlink()
    assert main(check=True) == 1
    told = capsys.readouterr().err
    assert [name for name in PAGES if name in told] == ["metrics.md", "settings.md"]
    assert main(check=False) == main(check=True) == 0
    assert (tmp_path / "settings.md").read_text("utf-8").startswith("# Settings\n")


@pytest.mark.parametrize("name", PAGES)
def test_page_says_that_it_is_generated(name: str) -> None:
    assert "make reference" in (GENERATOR.parent / name).read_text("utf-8")
