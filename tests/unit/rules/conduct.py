"""Which code may commit, raise HTTPException, read the environment, and read the clock."""

import ast
from collections.abc import Iterable, Iterator

from tests.unit.rules.layers import imports
from tests.unit.rules.rule import Finding, Rule, Source, dotted, is_python, is_service, service_but

# Names in `time` that do not read the clock, and names in `datetime` that do.
PATIENT = {"time.sleep"}
TELLING = {
    f"datetime.{kind}.{name}"
    for kind in ("datetime", "date")
    for name in ("now", "utcnow", "today", "fromtimestamp", "utcfromtimestamp")
}


def _commit(source: Source) -> Iterator[Finding]:
    advice = "leave the commit to Database.transaction() or Database.session()"
    for node in source.nodes(ast.Call):
        if isinstance(node.func, ast.Attribute) and node.func.attr == "commit":
            yield node.lineno, advice
    for constant in source.nodes(ast.Constant):
        if str(constant.value).strip(" ;").upper() == "COMMIT":
            yield constant.lineno, advice


def _names(source: Source, wanted: str) -> Iterator[int]:
    """Yield the lines that import the name or use it as an attribute."""
    if wanted not in source.text:
        return  # there is no need to parse it
    for line, module in imports(source):
        if module.rpartition(".")[2] == wanted:
            yield line
    for node in source.nodes(ast.Attribute):
        if node.attr == wanted:
            yield node.lineno


def _framework_exception(source: Source) -> Iterator[Finding]:
    for line in _names(source, "HTTPException"):
        yield line, "raise a class of service/http/problems/catalogue.py, so that the response has a code"


def _environment(source: Source) -> Iterator[Finding]:
    for wanted in ("environ", "environb", "getenv", "putenv"):
        for line in _names(source, wanted):
            yield line, "add a field to a group in service/config/ and read that"


def _bound(source: Source) -> dict[str, str]:
    """Return the full name of each imported name: `{"dt": "datetime"}` after `import datetime as dt`."""
    found = {}
    imported = [("", node.names) for node in source.nodes(ast.Import)]
    imported += [(f"{node.module}.", node.names) for node in source.nodes(ast.ImportFrom)]
    for package, names in imported:
        for alias in names:
            found[alias.asname or alias.name] = package + alias.name
    return found


def _clock(source: Source) -> Iterator[Finding]:
    bound = _bound(source)
    for node in (*source.nodes(ast.Attribute), *source.nodes(ast.Name)):
        head, dot, rest = dotted(node).partition(".")
        name = bound.get(head, "") + dot + rest
        if name in TELLING or (name.startswith("time.") and name not in PATIENT):
            yield node.lineno, "use service/clock.py, so that tests can move time"


def _middleware(source: Source) -> Iterator[Finding]:
    reason = "write a pure ASGI class, or extend service/http/middleware/edge.py: this one costs more than the request"
    for wanted in ("BaseHTTPMiddleware", "middleware"):
        for line in _names(source, wanted):
            if wanted == "BaseHTTPMiddleware" or "middleware(" in source.lines[line - 1]:
                yield line, reason


def _past_the_layers(source: Source) -> Iterator[Finding]:
    for line in _names(source, "lifespan_context"):
        yield line, "start it with tests.asgi.lifespan, which runs every ASGI layer as a server does"


def _asks_the_type(function: ast.AsyncFunctionDef) -> bool:
    """Whether the first statement after the docstring reads `scope["type"]`."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    return "scope['type']" in ast.unparse(body[0])


def _scope_type(source: Source) -> Iterator[Finding]:
    for node in source.nodes(ast.AsyncFunctionDef):
        if node.name == "__call__":
            names = [argument.arg for argument in node.args.args]
            if names == ["self", "scope", "receive", "send"] and not _asks_the_type(node):
                yield node.lineno, 'look at scope["type"] first: a layer meets the lifespan too'


def _files(path: str, *texts: str) -> Iterable[Source]:
    return tuple(Source(path, text) for text in texts)


def _layer(first: str) -> str:
    return f"class Layer:\n    async def __call__(self, scope, receive, send):\n        {first}\n"


RULES = (
    Rule(
        "commit-at-the-edge",
        service_but("service/database/", "service/migrations/", "service/http/middleware/edge"),
        _commit,
        bad=(*_files("service/x.py", "await session.commit()\n", "c.execute('COMMIT;')\n"),),
        good=(
            Source("service/database/orm.py", "await session.commit()\n"),
            Source("service/x.py", "what = 'the edge commits'\n"),
        ),
    ),
    Rule(
        "problems-only",
        service_but("service/http/"),
        _framework_exception,
        bad=(
            *_files(
                "service/resources/x.py",
                "from fastapi import HTTPException\n",
                "raise fastapi.HTTPException(404)\n",
            ),
        ),
        good=(
            Source("service/http/problems/handlers.py", "from starlette.exceptions import HTTPException\n"),
        ),
    ),
    Rule(
        "environment-in-config",
        service_but("service/config/"),
        _environment,
        bad=(
            *_files("service/x.py", "import os\nos.environ['A']\n", "os.getenv('A')\n"),
            Source("service/cli/x.py", "from os import environ as e\n"),
        ),
        good=(
            Source("service/config/x.py", "import os\nos.environ\n"),
            Source("service/x.py", "os.urandom(1)\n"),
        ),
    ),
    Rule(
        "one-clock",
        service_but("service/clock.py"),
        _clock,
        bad=(
            *_files("service/x.py", "import time\ntime.time()\n", "from time import monotonic as m\nm()\n"),
            *_files("service/x.py", "import datetime as dt\ndt.datetime.utcnow()\n"),
            *_files("service/x.py", "from datetime import date\ndate.today()\n"),
            *_files("service/x.py", "from datetime import UTC, datetime\ndatetime.now(UTC)\n"),
        ),
        good=(
            *_files("service/x.py", "import time\ntime.sleep(1)\n", "time = histogram()\ntime.observe(1)\n"),
            *_files("service/x.py", "from datetime import datetime\ndatetime.fromisoformat(x)\n"),
            Source("service/clock.py", "from datetime import UTC, datetime\ndatetime.now(UTC)\n"),
        ),
    ),
    Rule(
        "pure-asgi",
        # The peers show what it costs not to follow the rule.
        lambda path: is_python(path) and not path.startswith("benchmarks/peers/"),
        _middleware,
        bad=(
            *_files(
                "service/x.py",
                "from starlette.middleware.base import BaseHTTPMiddleware\n",
                "@app.middleware('http')\nasync def f(r, n): ...\n",
            ),
        ),
        good=(
            *_files("service/main.py", "Edge(app, services)\n", "import starlette.middleware\n"),
            Source("benchmarks/peers/stock.py", "from starlette.middleware.base import BaseHTTPMiddleware\n"),
        ),
    ),
    Rule(
        "through-every-layer",
        lambda path: path.startswith("tests/") and is_python(path),
        _past_the_layers,
        bad=(*_files("tests/x.py", "async with app.router.lifespan_context(app): ...\n"),),
        good=(
            *_files("tests/x.py", "async with lifespan(app): ...\n"),
            Source("service/x.py", "router.lifespan_context\n"),
        ),
    ),
    Rule(
        "scope-type-first",
        is_service,
        _scope_type,
        bad=(*_files("service/x.py", _layer("method = scope['method']")),),
        good=(*_files("service/x.py", _layer("if scope['type'] != 'http': return")),),
    ),
)
