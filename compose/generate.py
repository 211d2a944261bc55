# ruff: noqa: INP001  # a script
"""Writes the files of this folder that come from the chart: `make compose-files`. With `--check` it names stale ones.

The rules and the data source need Helm; without it they are not checked.
"""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
CHART = HERE.parent / "chart"
NOTICE = "Written by `make compose-files`. Change the chart, not this file."
LINES = re.compile(r'\{\{- define "slipway\.alloy\.lines" -\}\}\n(.*?)\{\{- end \}\}', re.DOTALL)


def files() -> dict[Path, str]:
    """Return the text of each file that can be made here."""
    found = {HERE / "alloy" / "lines.alloy": f"// {NOTICE}\n{_alloy_lines()}"}
    if shutil.which("helm") is None:
        sys.stderr.write(
            "compose: without Helm, prometheus/rules.yml and grafana/loki.yaml are not checked\n"
        )
        return found
    rules = _rendered("prometheusrule", "-f", str(HERE / "prometheus" / "values.yaml"))["spec"]
    source = _rendered("loki-datasource", "--set", "loki.enabled=true,kube-prometheus-stack.enabled=true")
    found[HERE / "prometheus" / "rules.yml"] = f"# {NOTICE}\n{yaml.safe_dump(rules, width=120)}"
    loki = source["data"]["slipway-loki.yaml"].replace("http://slipway-loki:3100", "http://loki:3100")
    found[HERE / "grafana" / "loki.yaml"] = f"# {NOTICE}\n{loki}\n"
    return found


def _alloy_lines() -> str:
    text = LINES.search((CHART / "templates" / "_alloy.tpl").read_text("utf-8"))
    assert text, "templates/_alloy.tpl does not define slipway.alloy.lines"
    return text[1]


def _rendered(template: str, *arguments: str) -> dict[str, Any]:
    """Return the one object of a template."""
    command = [str(CHART / "render"), "--namespace", "compose", "--set", "image.tag=compose", *arguments]
    done = subprocess.run(  # noqa: S603  # our own script
        [*command, "--show-only", f"templates/{template}.yaml"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = yaml.safe_load(done.stdout)
    return found


def main(*, check: bool) -> int:
    """Write the files, or with `check` name those that are stale; the exit code."""
    stale = 0
    for path, text in files().items():
        if path.exists() and path.read_text("utf-8") == text:
            continue
        if check:
            stale = 1
            sys.stderr.write(f"{path.relative_to(HERE.parent)} is stale: run `make compose-files`\n")
        else:
            path.write_text(text, "utf-8")
    return stale


if __name__ == "__main__":
    raise SystemExit(main(check="--check" in sys.argv[1:]))
