"""The shell commands of a Markdown file, and their documented output."""

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROMISE = "#=>"
_BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TARGET = re.compile(r"\bmake ((?:[a-z][a-z-]*)(?: [a-z]+-[a-z]+)*)")


@dataclass(frozen=True)
class Command:
    """A command, possibly of several lines, and a part of its output."""

    text: str
    promise: str


def section(text: str, title: str) -> str:
    """Return the text under a heading of level two. Raises `KeyError`."""
    parts = dict(part.split("\n", 1) for part in re.split(r"^## ", text, flags=re.MULTILINE)[1:])
    return parts[title]


def commands(text: str) -> list[Command]:
    """Return the commands of every `sh` block, in order."""
    found: list[Command] = []
    for block in _BLOCK.findall(text):
        for line in block.replace("\\\n", " ").splitlines():
            command, _, promise = line.partition(PROMISE)
            if command.strip():
                found.append(Command(command.strip(), promise.strip()))
    return found


def make_targets(text: str) -> set[str]:
    """Return all `make` targets that are mentioned."""
    return {target for match in _TARGET.finditer(text) for target in match[1].split()}
