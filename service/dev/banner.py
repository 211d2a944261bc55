"""The text that `slipway dev` prints when the service is ready."""

from pathlib import Path

from service.config import Settings
from service.dev.database_setup import QuickStart
from service.dev.instance import database_address
from service.resources.domain import Example


def banner(settings: Settings, quick_start: QuickStart, folder: Path) -> str:
    """Return the addresses, the API key, and commands to paste into a shell."""
    base = _address(settings.server.host, settings.server.port)
    admin = _address(settings.server.admin_host, settings.server.admin_port)
    key = f"-H 'X-API-Key: {quick_start.api_key}'"
    lines = [
        "",
        f"  API       {base}/api/v1",
        f"  Docs      {base}/docs",
        f"  Admin     {admin}/readyz and {admin}/metrics",
        f"  Database  {database_address(settings)}",
        f"  API key   {quick_start.api_key}",
        "",
        *(["  Try it:", ""] if quick_start.examples else []),
        *(line for example in quick_start.examples for line in _curl(example, key, f"{base}/api/v1")),
        f"  Ctrl-C stops everything. The data stays in {folder}.",
        "",
    ]
    return "\n".join(lines)


def _curl(example: Example, key: str, base: str) -> list[str]:
    """Return the lines of the curl command for an example request."""
    if not example.body:
        return [f"  curl {key} \\", f"    '{base}/{example.path}'", ""]
    return [
        f"  curl {key} \\",
        f"    -H 'Content-Type: application/json' {base}/{example.path} \\",
        f"    -d '{example.body}'",
        "",
    ]


def _address(host: str, port: int) -> str:
    """Return the URL of a listener as seen from this machine."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{reachable}:{port}"
