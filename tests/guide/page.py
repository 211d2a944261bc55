"""The code of docs/resources.md and more-tasks.md, as the files that a reader of both has at the end."""

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path

from tests.shop.door import ROOT

PAGES = (ROOT / "docs" / "resources.md", ROOT / "docs" / "more-tasks.md")
DOMAIN = "orders"
_BLOCK = re.compile(r"^```(python|diff)\n[ ]?# (\S+\.py)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LATER = re.compile(r"^```diff\n # models\.py, later\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_IMPORT = re.compile(r"(?:from|import) ")


@dataclass
class File:
    """The imports of a file, and the code after them."""

    imports: list[str] = field(default_factory=list)
    code: str = ""

    def add(self, block: str) -> None:
        """Add a block of code; its imports go to the top of the file."""
        lines = block.splitlines()
        first = next(at for at, line in enumerate(lines) if line and not _IMPORT.match(line))
        self.imports += filter(None, lines[:first])
        self.code += "\n\n" + "\n".join(lines[first:]).strip() + "\n"

    def change(self, diff: str) -> None:
        """Change the place that the block shows: lines with a minus become lines with a plus."""
        lines = diff.splitlines()
        imports = [line[1:] for line in lines if line.startswith("+") and _IMPORT.match(line[1:])]
        rest = [line for line in lines if line[1:] not in imports]
        before, after = (
            "".join(f"{line[1:]}\n" for line in rest if line[0] in kept) for kept in (" -", " +")
        )
        assert self.code.count(before) == 1, f"{self.code.count(before)} places in the file fit:\n{diff}"
        self.imports += imports
        self.code = self.code.replace(before, after)

    def __str__(self) -> str:
        return "\n".join(self.imports) + f"\n{self.code}"


def _text() -> str:
    return "".join(page.read_text("utf-8") for page in PAGES)


def files() -> dict[str, str]:
    """Return the files by their path in the domain's folder."""
    found: dict[str, File] = {}
    for kind, name, block in _BLOCK.findall(_text()):
        file = found.setdefault(name, File())
        (file.add if kind == "python" else file.change)(block)
    return {name: str(file) for name, file in found.items()}


def add_field_later(models: Path) -> None:
    """Change the models as the page does at its end."""
    (diff,) = _LATER.findall(_text())
    file = File(code=models.read_text("utf-8"))
    file.change(diff)
    models.write_text(str(file), "utf-8")


def command(name: str) -> list[str]:
    """Return the arguments of the documented `slipway` command that begins like this."""
    (found,) = re.findall(rf"^slipway ({name}.*)$", _text(), re.MULTILINE)
    return shlex.split(found)


def write(domains: Path) -> None:
    """Write the domain of the page into a folder of domains, as the only one there."""
    folder = domains / DOMAIN
    folder.mkdir()
    for name, code in files().items():
        (folder / name).resolve().write_text(code, "utf-8")
