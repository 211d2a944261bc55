"""Text that no tracked file may contain."""

import re
from collections.abc import Iterator

from tests.unit.rules.rule import Finding, Rule, Source

# Concatenated, so that this file does not break its own rules.
_WORK_LEFT = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
_MACHINE = re.compile(r"(?<![\w.$~}-])/(?:root|work|farm|Users/\w+|home/\w+)/")
_INDEX = re.compile(
    r"\b(?:py" + r"pi\.org|pythonhosted\.org|registry\.npm" + r"js\.org|proxy\.golang\.org)\b"
    r"|--(?:extra-)?index-url[ =]\S|--find-links[ =]\S|_INDEX_URL[ \t]*[:=]"
)


def _each_line(pattern: re.Pattern[str], reason: str, source: Source) -> Iterator[Finding]:
    for match in pattern.finditer(source.text):
        yield source.text.count("\n", 0, match.start()) + 1, reason


def _everywhere(path: str) -> bool:
    return not path.endswith((".png", ".ico", ".woff2"))


RULES = (
    Rule(
        "nothing-left-open",
        _everywhere,
        lambda source: _each_line(_WORK_LEFT, "do it now, or open an issue", source),
        bad=(Source("chart/x.yaml", "# TO" + "DO: more\n"), Source("service/x.py", "x = 1  # FIX" + "ME\n")),
        good=(Source("docs/x.md", "What to do first\n"),),
    ),
    Rule(
        "no-machine-paths",
        _everywhere,
        lambda source: _each_line(_MACHINE, "name no folder of one machine", source),
        bad=(
            Source("x.sh", "cd /ro" + "ot/slipway/\n"),
            Source("docs/x.md", "in `/home/" + "anna/slipway/`\n"),
        ),
        good=(
            Source("x.sh", "cd $HOME/work/\ncurl 127.0.0.1/work/\n"),
            Source("Dockerfile", "COPY --from=a /opt/slipway /opt/slipway\n"),
        ),
    ),
    Rule(
        "no-registry-hosts",
        _everywhere,
        lambda source: _each_line(_INDEX, "leave the choice of the package index to the machine", source),
        bad=(
            Source("requirements.txt", "--index" + "-url https://packages.example/simple\n"),
            Source("Dockerfile", "ENV PIP_INDEX" + "_URL=https://packages.example\n"),
            Source("README.md", "see https://py" + "pi.org/project/slipway\n"),
        ),
        good=(Source("Makefile", "uv pip compile --no-emit-index-url\n"),),
    ),
)
