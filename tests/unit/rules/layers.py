"""Imports point one way: a part of the service imports only from lower layers."""

import ast
from collections.abc import Iterator

from tests.unit.rules.rule import Finding, Rule, Source, is_python, is_service, service_but

# From bottom to top. A part is a module or package directly under `service`; parts of one layer do not import each
# other.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("__init__", "actor", "clock", "deadline", "ending", "ndjson", "wait_queue"),
    ("lazy_timer",),
    ("config",),
    ("observability", "models", "jobs"),
    ("database",),
    ("migrations", "cache"),
    ("http",),
    ("security",),
    ("features",),
    ("resources", "backup"),
    ("domains",),
    ("health",),
    ("main",),
    ("dev",),
    ("cli",),
)
ROW = {part: row for row, parts in enumerate(LAYERS) for part in parts}
WEB = {"fastapi", "starlette", "starlette_exporter", "uvicorn", "gunicorn", "httptools", "redis"}


def imports(source: Source) -> Iterator[tuple[int, str]]:
    """Yield (line, module) of every import; `from a import b` counts as `a.b`."""
    for node in source.nodes(ast.Import):
        yield from ((node.lineno, alias.name) for alias in node.names)
    for found in source.nodes(ast.ImportFrom):
        module = "." * found.level + (found.module or "")
        yield from ((found.lineno, f"{module}.{alias.name}") for alias in found.names)


def _part(module: str) -> str:
    """Return the part of the service that a module `service.x.y` belongs to."""
    part = module.split(".")[1]
    return "__init__" if part.startswith("__") else part


def _one_way(source: Source) -> Iterator[Finding]:
    own = source.path.removesuffix(".py").split("/")[1]
    if own not in ROW:
        yield 1, f"{own} has no place yet: add it to LAYERS in tests/unit/rules/layers.py"
        return
    for line, module in imports(source):
        if module.startswith("."):
            yield line, f"write the import of {module} in full"
        elif module.startswith("service."):
            part = _part(module)
            if part != own and ROW.get(part, len(LAYERS)) >= ROW[own]:
                yield (
                    line,
                    f"{own} must not import {part}: move what both need down, or hand it in as an argument",
                )


def _no_domains(source: Source) -> Iterator[Finding]:
    for line, module in imports(source):
        if f"{module}.".startswith("service.domains."):
            yield line, "only main.py and cli/ import domains: take what you need as an argument"


def _no_tests(source: Source) -> Iterator[Finding]:
    for line, module in imports(source):
        if module.split(".")[0] == "tests":
            yield line, "the service must run without its tests: move what it needs into service/"


def _has_models(path: str) -> bool:
    is_domains = path.startswith("service/domains/") and path.endswith("/models.py")
    return is_python(path) and (is_domains or path.startswith("service/models/"))


def _no_web(source: Source) -> Iterator[Finding]:
    for line, module in imports(source):
        if module.split(".")[0] in WEB:
            yield (
                line,
                f"models do not import the web layer: move the code that needs {module} to service/resources",
            )


RULES = (
    Rule(
        "one-way-imports",
        is_service,
        _one_way,
        bad=(
            Source("service/http/x.py", "from service.resources.engine import Engine\n"),
            Source("service/models/x.py", "def f():\n    from service.http import problems\n"),
            Source("service/cache/x.py", "import service.security.api_keys.api_key_verifier\n"),
            Source("service/health/probes.py", "from service import docs\n"),
            Source("service/main.py", "from .http import edge\n"),
            Source("service/novelty.py", "x = 1\n"),
            Source("service/http/x.py", "from service.novelty import x\n"),
        ),
        good=(
            Source("service/resources/x.py", "from service.resources import y\nfrom service import clock\n"),
            Source("service/health/admin_port.py", "from service import __version__\nimport asyncpg\n"),
        ),
    ),
    Rule(
        "chassis-without-domains",
        service_but("service/domains/", "service/main.py", "service/cli/"),
        _no_domains,
        bad=(
            Source("service/dev/x.py", "from service.domains import DOMAINS\n"),
            Source("service/health/admin_port.py", "def f():\n    import service.domains.catalog.models\n"),
            Source("service/health/probes.py", "from service import domains\n"),
        ),
        good=(
            Source("service/main.py", "from service.domains import DOMAINS\n"),
            Source("service/cli/x.py", "from service.domains import DOMAINS\n"),
            Source("service/domains/orders/routes.py", "from service.domains.orders.models import Order\n"),
            Source("service/health/admin_port.py", "from service.resources.domain import Domain\n"),
        ),
    ),
    Rule(
        "service-without-tests",
        is_service,
        _no_tests,
        bad=(Source("service/x.py", "from tests.services import ServersProcess\n"),),
        good=(Source("service/x.py", "import testsuite\n"),),
    ),
    Rule(
        "models-without-web",
        _has_models,
        _no_web,
        bad=(
            Source("service/models/x.py", "from fastapi import Request\n"),
            Source("service/models/x.py", "import starlette.requests\n"),
            Source("service/domains/orders/models.py", "from fastapi import Request\n"),
        ),
        good=(
            Source("service/models/x.py", "from sqlmodel import Field\n"),
            Source("service/domains/orders/routes.py", "from fastapi import APIRouter\n"),
        ),
    ),
)
