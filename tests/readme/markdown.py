"""The shell commands of a Markdown file, and what they promise to print."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISE = "#=>"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(r"\bmake ((?:[a-z][a-z-]*)(?: [a-z]+-[a-z]+)*)")


@dataclass(frozen=True)
class Command:
    """One command, over several lines if it has to be, and a part of what it prints."""

    text: str
    promise: str


def section(text: str, title: str) -> str:
    """What stands under a heading of the second level. Raises `KeyError`."""
    parts = dict(part.split("\n", 1) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return parts[title]


def commands(text: str) -> list[Command]:
    """The commands of every `sh` block, in order."""
    found: list[Command] = []
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            command, _, promise = line.partition(PROMISE)
            if command.strip():
                found.append(Command(command.strip(), promise.strip()))
    return found


def make_targets(text: str) -> set[str]:
    """Every target that `make` is said to have."""
    return {target for match in _TARGET.finditer(text) for target in match[1].split()}
