"""Files and functions small enough to read in one go."""

import ast
from collections.abc import Iterator

from tests.unit.rules.rule import Finding, Rule, Source, is_python

FILE_LINES = 400
FUNCTION_LINES = 40


def _file(source: Source) -> Iterator[Finding]:
    if len(source.lines) > FILE_LINES:
        yield FILE_LINES + 1, f"{len(source.lines)} lines; split it by job, {FILE_LINES} is the most"


def _functions(source: Source) -> Iterator[Finding]:
    if len(source.lines) <= FUNCTION_LINES:
        return  # there is no need to parse it
    functions: list[ast.FunctionDef | ast.AsyncFunctionDef] = [
        *source.nodes(ast.FunctionDef),
        *source.nodes(ast.AsyncFunctionDef),
    ]
    for node in functions:
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > FUNCTION_LINES:
            yield (
                node.lineno,
                f"{node.name} has {length} lines; take parts out, {FUNCTION_LINES} is the most",
            )


def _is_written_once(path: str) -> bool:
    """Migrations are exempt: each is one long list of operations that never changes."""
    return path.startswith(("service/migrations/versions/", "service/domains/migrations/"))


def _function_of(lines: int) -> str:
    return "async def f():\n" + "    x = 1\n" * (lines - 1)


RULES = (
    Rule(
        "file-size",
        is_python,
        _file,
        bad=(Source("service/x.py", "x = 1\n" * (FILE_LINES + 1)),),
        good=(Source("service/x.py", "x = 1\n" * FILE_LINES),),
    ),
    Rule(
        "function-size",
        lambda path: is_python(path) and not _is_written_once(path),
        _functions,
        bad=(Source("tests/x.py", _function_of(FUNCTION_LINES + 1)),),
        good=(Source("tests/x.py", _function_of(FUNCTION_LINES)),),
    ),
)
